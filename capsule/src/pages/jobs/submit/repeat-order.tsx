import { JOB_VERBS, wantsPackages } from "../../../core/jobs/package-actions";
import { showDialog } from "../../../state/dialogs";
import { mayAct } from "../../../state/session";
import type { JobBody } from "../../../state/types";
import { Button } from "../../../ui";

/** Whether a user can request this action. */
const isOrder = (action: string): action is JobBody["action"] => JOB_VERBS.some(([name]) => name === action);

/** A button that opens the job dialog again with the same input. Nothing starts before the user confirms the dialog. */
export function RepeatOrder({
  nodes,
  action,
  packages,
  label,
}: {
  nodes: readonly string[];
  action: string;
  packages: readonly string[];
  label: string;
}) {
  const [node] = nodes;
  if (!node || !mayAct.value || !isOrder(action)) return null;
  const alone = nodes.length === 1 && packages.length === 0 && !wantsPackages(action);
  return (
    <Button
      icon="rotate-cw"
      onClick={() => showDialog(alone ? { kind: "job", node, action } : { kind: "bulk-job", nodes, action, packages })}
    >
      {label}
    </Button>
  );
}
