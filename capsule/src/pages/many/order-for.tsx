import type { VNode } from "preact";
import { policyRefusal } from "../../core/batch";
import { hide } from "../../state/dialogs";
import { nodeSignal } from "../../state/fleet";
import type { JobBody } from "../../state/types";
import { OrderDialog } from "../node/order";

/** An order for one node, asked for from anywhere. */
export function OrderFor({ node, action }: { node: string; action: JobBody["action"] }): VNode | null {
  const view = nodeSignal(node)?.peek();
  if (!view) return null;
  return <OrderDialog view={view} action={action} planned={!policyRefusal(view.policy, "plan")} onClose={hide} />;
}
