import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../../core/text/i18n";
import { stepUp, withStepUp } from "../../../state/step-up";
import { toast } from "../../../state/toasts";
import { ApiError } from "../../../state/types";

interface SubmitRequest<T> {
  /** The title of the toast. */
  what: string;
  /** The title of the toast after a failure, in place of "not started". */
  failed?: string;
  /** For how long the password counts for such a request, if not the usual time. */
  minutes?: number;
  /** Sends the request. Called again, it sends the same request. */
  send: () => Promise<T>;
  /** The hub accepted it, and the dialog is still open. */
  taken: (made: T) => void;
  /** The hub accepted it, and the dialog is closed: shows a toast and does nothing else. */
  late: (made: T) => void;
  /** The reason of a refusal; empty = the user closed the password question. */
  refused: (why: string, error: ApiError) => void;
  /**
   * From the toast after a failure back to the form, or to a page that shows whether it was accepted. Without it the request is kept and sent
   * again.
   */
  back?: (unheard: boolean) => void;
}

interface Submit {
  sending: boolean;
  /** The status beside the buttons; empty while nothing is under way. */
  status: string;
  give: <T>(order: SubmitRequest<T>) => Promise<void>;
}

/** Whether the hub may have accepted the request. */
export const isUnanswered = ({ status, code }: ApiError): boolean => status === 0 || status >= 500 || code === "answer.unreadable";

/** A text that claims only what is known. `again`: a retry would be the same request. */
export const submitErrorText = (error: ApiError, again = true): string => {
  const why = error.detail;
  if (!isUnanswered(error)) return why;
  return again ? t`${why} It is not known whether it started. Trying again does not start it twice.` : t`${why} It is not known whether it started.`;
};

/** `what`: the title of the request. */
export const stepUpQuestion = (what: string): string => t`Enter your password to start “${what}”.`;

/** The toast for a request whose dialog is closed. */
export const startedNote = (what: string, open: () => void): void => void toast("run", what, t`It was started.`, { label: t`Open`, run: open });

/**
 * Sends a request from a dialog. Closing the dialog does not cancel the request. A closed dialog does nothing with the answer, and a toast
 * reports the result.
 */
export function useSubmit(): Submit {
  const [sending, setSending] = useState(false);
  const gone = useRef(false);
  useEffect(() => () => void (gone.current = true), []);
  const give = async <T>(order: SubmitRequest<T>, wanted = (): boolean => !gone.current): Promise<void> => {
    const { what, back } = order;
    setSending(true);
    try {
      const made = await withStepUp(order.send, stepUpQuestion(what), wanted, order.minutes);
      if (gone.current) order.late(made);
      else order.taken(made);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!gone.current) order.refused(error.code === "auth.step_up_required" ? "" : submitErrorText(error), error);
      else {
        const unheard = isUnanswered(error);
        // A press in the toast is intended, so the password is asked for.
        const way = back ? { label: t`Open`, run: () => back(unheard) } : { label: t`Retry`, run: () => void give(order, () => true) };
        toast("fail", unheard ? what : (order.failed ?? t`${what}: not started`), submitErrorText(error, !back), way);
      }
    } finally {
      setSending(false);
    }
  };
  return { sending, status: sending ? (stepUp.value ? t`Waiting for your confirmation. Nothing is sent yet.` : t`Sent, waiting for the answer. It continues when you close this.`) : "", give };
}

/** The list of all deployments, in any state. */
export const DEPLOYMENTS = "/jobs?of=deployments";
