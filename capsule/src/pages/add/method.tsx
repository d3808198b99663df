import { useEffect, useRef } from "preact/hooks";
import { t } from "../../core/text";
import { user } from "../../state/session";
import { Segmented } from "../../ui";

export type MethodKey = "ssh" | "many" | "command";

/** Whether the user has just changed the method. Each method has its own dialog, and the new dialog then focuses the choice of methods. */
let justPicked = false;

/** The choice of the method to add a server. `busy`: a request runs, so the method cannot be changed. */
export function Method({ value, busy, onPick }: { value: MethodKey; busy: boolean; onPick: (key: MethodKey) => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!justPicked) return;
    justPicked = false;
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>("[aria-checked=true]")?.focus());
  }, []);
  const pick = (key: MethodKey): void => {
    if (key === value) return;
    justPicked = true;
    onPick(key);
  };
  return (
    <div ref={box} inert={busy}>
      <Segmented
        label={t`Method`}
        value={value}
        onPick={pick}
        options={[
          { key: "ssh", label: t`Over SSH` },
          { key: "many", label: t`Many servers` },
          { key: "command", label: t`One-line command` },
        ]}
      />
      {user.value?.limited && (
        <p class="hint">{t`You have access to some nodes only: a new one needs a tag that you have access to. Without such a tag, ask an admin to add it.`}</p>
      )}
    </div>
  );
}
