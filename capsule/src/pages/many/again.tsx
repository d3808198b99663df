import type { VNode } from "preact";
import { wantsPackages } from "../../core/orders";
import { ACTION_WORDS } from "../../core/words";
import { show } from "../../state/dialogs";
import { mayAct } from "../../state/session";
import type { JobBody } from "../../state/types";
import { Button } from "../../ui/button";

/** What a person may order, of all that jobs do. */
const isOrder = (action: string): action is JobBody["action"] => action !== "plan" && action in ACTION_WORDS;

/** Back to the dialog in which it was ordered, with the same in it; nothing is done before that. */
export function Again({ nodes, action, packages, label }: { nodes: readonly string[]; action: string; packages: readonly string[]; label: string }): VNode | null {
  const [node] = nodes;
  if (!node || !mayAct.value || !isOrder(action)) return null;
  const alone = nodes.length === 1 && packages.length === 0 && !wantsPackages(action);
  return (
    <Button icon="rotate-cw" onClick={() => show(alone ? { kind: "order", node, action } : { kind: "many", nodes, action, packages })}>
      {label}
    </Button>
  );
}
