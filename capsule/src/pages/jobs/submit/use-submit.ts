import { useEffect, useRef, useState } from "preact/hooks";
import { errorText } from "../../../core/text/error-text";
import { t } from "../../../core/text/i18n";
import { withStepUp } from "../../../state/step-up";
import { toast } from "../../../state/toasts";
import { ApiError } from "../../../state/types";

interface Order<T> {
  /** Names it in a note. */
  what: string;
  /** Heads the note that it was not taken, in the place of "not started". */
  failed?: string;
  /** Gives it to the hub. Sent again, it is the same order. */
  send: () => Promise<T>;
  /** It was taken, and its dialog is there to go on with it. */
  taken: (made: T) => void;
  /** It was taken, and its dialog is gone: tells so by a note, and does nothing else. */
  late: (made: T) => void;
  /** Why it was not, in words; empty = who was asked for the password would rather not. */
  refused: (why: string, error: ApiError) => void;
  /** From a note that it was not taken back to where it is asked for, or to where one sees whether it was. Without it the order is given again, and is kept for that. */
  back?: (unheard: boolean) => void;
}

interface Submit {
  sending: boolean;
  give: <T>(order: Order<T>) => Promise<void>;
}

/** Whether the hub may have done it all the same. */
export const isUnanswered = ({ status, code }: ApiError): boolean => status === 0 || status >= 500 || code === "answer.unreadable";

/** In words that claim no more than is known. `again`: it is the same wish when it is sent once more. */
export const submitErrorText = (error: ApiError, again = true): string => {
  const why = errorText(error);
  if (!isUnanswered(error)) return why;
  return again ? t`${why} It is not known whether it started. Trying again does not start it twice.` : t`${why} It is not known whether it started.`;
};

/** The note of an order whose dialog is gone. */
export const startedNote = (what: string, open: () => void): void => void toast("run", what, t`It was started.`, { label: t`Open`, run: open });

/**
 * An order from a dialog. What is sent is not taken back by closing it: one that is gone when the answer comes closes nothing, asks nothing and goes nowhere any
 * more, and a note tells what became of it.
 */
export function useSubmit(): Submit {
  const [sending, setSending] = useState(false);
  const gone = useRef(false);
  useEffect(() => () => void (gone.current = true), []);
  const give = async <T>(order: Order<T>, wanted = (): boolean => !gone.current): Promise<void> => {
    const { what, back } = order;
    setSending(true);
    try {
      const made = await withStepUp(order.send, wanted);
      if (gone.current) order.late(made);
      else order.taken(made);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!gone.current) order.refused(error.code === "auth.step_up_required" ? "" : submitErrorText(error), error);
      else {
        const unheard = isUnanswered(error);
        // Pressed in the note, it is wanted: then the password is asked for.
        const way = back ? { label: t`Open`, run: () => back(unheard) } : { label: t`Retry`, run: () => void give(order, () => true) };
        toast("fail", unheard ? what : (order.failed ?? t`${what}: not started`), submitErrorText(error, !back), way);
      }
    } finally {
      setSending(false);
    }
  };
  return { sending, give };
}

/** Where all deployments are listed, whatever became of them. */
export const DEPLOYMENTS = "/jobs?of=deployments";

/** What stands beside the buttons of a dialog whose order is sent. */
export const SENT_TEXT = t`Sent, waiting for the answer. It continues when you close this.`;
