/** The owner's own actions of a node: the dialog that asks before one runs, and a button that opens it. */

import { useState } from "preact/hooks";
import { actionLabel } from "../../core/jobs/job-labels";
import { t } from "../../core/text";
import { newIdempotencyKey, submitJob } from "../../state/job-detail";
import { mayAct } from "../../state/session";
import type { NodeView } from "../../state/types";
import { Button } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { startJob } from "../jobs/submit/start-job";

export interface ConfirmActionProps {
  view: NodeView;
  /** The action's name in the node's policy. */
  name: string;
  onClose: () => void;
}

/** The dialog: says what will run. */
export function ConfirmAction({ view, name, onClose }: ConfirmActionProps) {
  const start = (): void => {
    const key = newIdempotencyKey();
    onClose();
    void startJob(`${actionLabel("action-run")}: ${name}, ${view.name}`, () =>
      submitJob(view.id, { action: "action-run", named_action: name }, key),
    );
  };
  return (
    <Dialog title={t`Run ${name}`} subtitle={view.name} size="narrow" onClose={onClose}>
      <div class="body">
        <p>{t`The file ${name} in /etc/stardust/actions.d runs on ${view.name} as root, as the owner of the server wrote it. It may take an hour at most; its output is stored with the job.`}</p>
      </div>
      <Foot onClose={onClose} focused>
        <Button kind="primary" onClick={start}>
          {t`Run`}
        </Button>
      </Foot>
    </Dialog>
  );
}

/** A button that opens the dialog; nothing if the user may not act, the node is not connected or its policy no longer names the action. */
export function RunAction({ view, name, label }: { view: NodeView; name: string; label: string }) {
  const [open, setOpen] = useState(false);
  if (!mayAct.value || view.state !== "online" || !view.policy?.actions.includes(name)) return null;
  return (
    <>
      <Button onClick={() => setOpen(true)}>{label}</Button>
      {open && <ConfirmAction view={view} name={name} onClose={() => setOpen(false)} />}
    </>
  );
}
