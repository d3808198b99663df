import type { VNode } from "preact";
import { policyRefusal } from "../../../core/jobs/batch";
import { closeDialog } from "../../../state/dialogs";
import { nodeSignal } from "../../../state/fleet";
import type { JobBody } from "../../../state/types";
import { JobDialog } from "./job-dialog";

/** An order for one node, asked for from anywhere. */
export function NodeJobDialog({ node, action }: { node: string; action: JobBody["action"] }): VNode | null {
  const view = nodeSignal(node)?.peek();
  if (!view) return null;
  return <JobDialog view={view} action={action} planned={!policyRefusal(view.policy, "plan")} onClose={closeDialog} />;
}
