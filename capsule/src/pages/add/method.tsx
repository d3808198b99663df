import type { VNode } from "preact";
import { Segmented } from "../../ui/parts";

export type MethodKey = "ssh" | "many" | "command";

/** How a server is added. */
export function Method({ value, onPick }: { value: MethodKey; onPick: (key: MethodKey) => void }): VNode {
  return (
    <div>
      <Segmented
        label="Method"
        value={value}
        onPick={onPick}
        options={[
          { key: "ssh", label: "Over SSH" },
          { key: "many", label: "Many servers" },
          { key: "command", label: "One-line command" },
        ]}
      />
    </div>
  );
}
