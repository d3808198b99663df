import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../core/text/i18n";
import { toast } from "../state/toasts";
import { ApiError } from "../state/types";
import { Banner } from "../ui/banner";
import { Glyph } from "../ui/glyph";

export interface Action {
  busy: boolean;
  refusal: string;
  /** Runs one action at a time and keeps the hub's refusal; true = it succeeded. */
  run: (act: () => Promise<void>) => Promise<boolean>;
  /** The dialog's close function and status text. It stays open while the action runs, because the answer may be sent only once. */
  held: (close: () => void) => { onClose: () => void; status: string };
}

/**
 * An action that the hub may refuse. A closed password question is no refusal. If the dialog is closed by then, a toast with the title `what`
 * shows the refusal.
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
      const text = error.detail;
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
