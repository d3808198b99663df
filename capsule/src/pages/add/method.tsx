import type { VNode } from "preact";
import { t } from "../../core/say";
import { Segmented } from "../../ui/parts";

export type MethodKey = "ssh" | "many" | "command";

/** How a server is added. */
export function Method({ value, onPick }: { value: MethodKey; onPick: (key: MethodKey) => void }): VNode {
  return (
    <div>
      <Segmented
        label={t`Method`}
        value={value}
        onPick={onPick}
        options={[
          { key: "ssh", label: t`Over SSH` },
          { key: "many", label: t`Many servers` },
          { key: "command", label: t`One-line command` },
        ]}
      />
    </div>
  );
}
