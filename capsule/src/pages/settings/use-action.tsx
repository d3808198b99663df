import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { errorText } from "../../core/text/error-text";
import { t } from "../../core/text/i18n";
import { toast } from "../../state/toasts";
import { ApiError } from "../../state/types";
import { Banner } from "../../ui/banner";
import { Glyph } from "../../ui/glyph";

export interface Action {
  busy: boolean;
  refusal: string;
  /** Runs one act at a time and keeps the hub's refusal; true = it was done. */
  run: (act: () => Promise<void>) => Promise<boolean>;
  /** Of its dialog, what closes it and what its end says: it stays while the act is under way, so that the answer, which may be told once, finds it. */
  held: (close: () => void) => { onClose: () => void; status: string };
}

/**
 * An act that the hub may refuse. Not doing it after all (the question for the password was closed) is no refusal. A refusal that finds its dialog
 * closed is told by a note, which `what` heads.
 */
export function useAction(what = t`Not done`): Action {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState("");
  const gone = useRef(false);
  useEffect(
    () => () => {
      gone.current = true;
    },
    [],
  );
  const run = async (act: () => Promise<void>): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setRefusal("");
    try {
      await act();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "auth.step_up_required") return false;
      const text = errorText(error);
      if (gone.current) toast("fail", what, text);
      else setRefusal(text);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const held: Action["held"] = (close) => ({ onClose: () => busy || close(), status: busy ? t`Sent, waiting for the answer.` : "" });
  return { busy, refusal, run, held };
}

export function ActionError({ text }: { text: string }): VNode | null {
  if (!text) return null;
  return (
    <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
      {text}
    </Banner>
  );
}
