import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../core/text";
import { stepUp } from "../state/step-up";
import { toast } from "../state/toasts";
import { ApiError } from "../state/types";
import { Banner, Glyph } from "../ui";
import { CodeWords } from "../ui/code-words";

export interface Action {
  busy: boolean;
  refusal: string;
  /** Runs an action, unless one is running. Stores the hub's refusal in `refusal`. Returns whether the action succeeded. */
  run: (act: () => Promise<void>) => Promise<boolean>;
  /** Properties of a dialog that stays open while the action runs, because the hub may send the answer only once. */
  dialogProps: (close: () => void) => { onClose: () => void; status: string };
}

/**
 * An action that the hub may refuse. If the dialog is closed before the answer, a toast with the title `what` shows the refusal. It is no
 * refusal if the user closes the password question.
 */
export function useAction(what = t`Not done`): Action {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState("");
  const unmounted = useRef(false);
  useEffect(
    () => () => {
      unmounted.current = true;
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
      if (unmounted.current) toast("fail", what, text);
      else setRefusal(text);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const dialogProps: Action["dialogProps"] = (close) => ({
    onClose: () => busy || close(),
    status: busy ? (stepUp.value ? t`Waiting for your password.` : t`Sent, waiting for the answer.`) : "",
  });
  return { busy, refusal, run, dialogProps };
}

export function ActionError({ text }: { text: string }) {
  if (!text) return null;
  return (
    <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
      <CodeWords text={text} />
    </Banner>
  );
}
