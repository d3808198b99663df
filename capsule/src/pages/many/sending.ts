import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/say";
import { go } from "../../state/router";
import { withStepUp } from "../../state/stepup";
import { toast } from "../../state/toasts";
import { ApiError } from "../../state/types";

interface Order {
  /** Names it in a note. */
  what: string;
  /** Gives it to the hub; the address where it is followed. Sent again, it is the same order. */
  send: () => Promise<string>;
  /** It was taken, and its dialog closes. */
  taken: () => void;
  /** Why it was not, in words; empty = who was asked for the password would rather not. */
  refused: (why: string) => void;
}

interface Sending {
  sending: boolean;
  give: (order: Order) => Promise<void>;
}

/** Whether the hub may have done it all the same. */
const isUnheard = ({ status, code }: ApiError): boolean => status === 0 || status >= 500 || code === "answer.unreadable";

/** In words that claim no more than is known. */
export const whyNot = (error: ApiError): string => {
  if (error.code === "auth.forbidden") return t`Your role does not allow this.`;
  return isUnheard(error) ? t`${error.detail} Whether it was started is not known. To try again does not start it twice.` : error.detail;
};

/** An order from a dialog. What is sent is not taken back by closing it: one that is gone when the answer comes moves nothing any more, and a note tells what became of it. */
export function useSending(): Sending {
  const [sending, setSending] = useState(false);
  const gone = useRef(false);
  useEffect(() => () => void (gone.current = true), []);
  const give = async (order: Order): Promise<void> => {
    setSending(true);
    try {
      const path = await withStepUp(order.send);
      if (gone.current) toast("run", order.what, t`It was started.`, { label: t`Open`, run: () => go(path) });
      else {
        order.taken();
        go(path);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (gone.current) toast("fail", isUnheard(error) ? order.what : t`${order.what}: not started`, whyNot(error), { label: t`Retry`, run: () => void give(order) });
      else order.refused(error.code === "auth.step_up_required" ? "" : whyNot(error));
    } finally {
      setSending(false);
    }
  };
  return { sending, give };
}

/** What stands beside the buttons of a dialog whose order is sent. */
export const SENT = t`Sent, waiting for the answer. It goes on when this is closed.`;
