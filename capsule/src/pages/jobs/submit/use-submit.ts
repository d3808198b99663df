import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../../core/text";
import { STRICT_MINUTES, stepUp, withStepUp } from "../../../state/step-up";
import { toast } from "../../../state/toasts";
import { ApiError } from "../../../state/types";

interface SubmitRequest<T> {
  /** The title of the toast. */
  what: string;
  /** The title of the toast after a failure, in place of "not started". */
  failed?: string;
  /** Whether the hub accepts a password for this action for a shorter time (removal, policies of nodes). */
  strict?: boolean;
  /** Sends the request, and the same request when it is called again. */
  send: () => Promise<T>;
  /** Called if the hub accepts the request while the dialog is open. */
  taken: (made: T) => void;
  /** Called if the hub accepts the request after the dialog was closed. It may only show a toast. */
  late: (made: T) => void;
  /** Called with the reason of a refusal; empty = the user closed the password question. */
  refused: (why: string, error: ApiError) => void;
  /**
   * Called from the toast after a failure. It opens the form again. If `unanswered`, it opens a page that shows whether the request was
   * accepted. Without `back` the toast sends the same request again.
   */
  back?: (unanswered: boolean) => void;
}

interface Submit {
  sending: boolean;
  /** The text about the running request; empty = none. */
  status: string;
  submit: <T>(request: SubmitRequest<T>) => Promise<void>;
}

/** Whether the hub may have accepted the request. */
export const isUnanswered = ({ status, code }: ApiError): boolean => status === 0 || status >= 500 || code === "answer.unreadable";

/** The text of an error. If there was no answer, it says that the request may have started. `again`: a retry sends the same request. */
export const submitErrorText = (error: ApiError, again = true): string => {
  const why = error.detail;
  if (!isUnanswered(error)) return why;
  return again
    ? t`${why} It is not known whether it started. Trying again does not start it twice.`
    : t`${why} It is not known whether it started.`;
};

/** The password question for a request with the title `what`. */
export const stepUpQuestion = (what: string): string => t`Enter your password to start “${what}”.`;

/** Shows the toast for a request that was accepted after its dialog was closed. */
export const toastStarted = (what: string, open: () => void): void =>
  void toast("run", what, t`It was started.`, { label: t`Open`, run: open });

/**
 * Sends a request from a dialog. The request continues when the dialog is closed, and then a toast reports the result.
 */
export function useSubmit(): Submit {
  const [sending, setSending] = useState(false);
  const unmounted = useRef(false);
  useEffect(() => () => void (unmounted.current = true), []);
  const submit = async <T>(request: SubmitRequest<T>, wanted = (): boolean => !unmounted.current): Promise<void> => {
    const { what, back } = request;
    setSending(true);
    try {
      const made = await withStepUp(request.send, stepUpQuestion(what), wanted, request.strict ? STRICT_MINUTES : undefined);
      if (unmounted.current) request.late(made);
      else request.taken(made);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!unmounted.current) request.refused(error.code === "auth.step_up_required" ? "" : submitErrorText(error), error);
      else {
        const unanswered = isUnanswered(error);
        // After a press in the toast the password question may appear on any page.
        const action = back
          ? { label: t`Open`, run: () => back(unanswered) }
          : { label: t`Retry`, run: () => void submit(request, () => true) };
        toast("fail", unanswered ? what : (request.failed ?? t`${what}: not started`), submitErrorText(error, !back), action);
      }
    } finally {
      setSending(false);
    }
  };
  return {
    sending,
    status: sending
      ? stepUp.value
        ? t`Waiting for your confirmation. Nothing is sent yet.`
        : t`Sent, waiting for the answer. It continues when you close this.`
      : "",
    submit,
  };
}

/** The path of the list of all deployments. */
export const DEPLOYMENTS = "/jobs?of=deployments";
