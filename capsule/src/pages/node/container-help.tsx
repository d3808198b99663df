/** The restart of a container: a button, and a dialog that asks first or shows the lines that the policy lacks. */

import { useState } from "preact/hooks";
import { actionLabel } from "../../core/jobs/job-labels";
import { RESTART, restartPermission } from "../../core/nodes/containers";
import { t } from "../../core/text";
import { newIdempotencyKey, submitJob } from "../../state/job-detail";
import { mayAct } from "../../state/session";
import type { NodeView } from "../../state/types";
import { Button } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { Dialog, Foot } from "../../ui/dialog";
import { startJob } from "../jobs/submit/start-job";
import { PolicyLines } from "./unit-help";

export interface RestartContainerProps {
  view: NodeView;
  name: string;
  /** The button's text. */
  label: string;
}

/** The button; nothing if the user may not act or the node is not connected. */
export function RestartContainer({ view, name, label }: RestartContainerProps) {
  const [open, setOpen] = useState(false);
  if (!mayAct.value || view.state !== "online") return null;
  return (
    <>
      <Button onClick={() => setOpen(true)}>{label}</Button>
      {open && <ConfirmRestart view={view} name={name} onClose={() => setOpen(false)} />}
    </>
  );
}

/** The dialog: says what the restart does, or what the policy lacks. */
export function ConfirmRestart({ view, name, onClose }: { view: NodeView; name: string; onClose: () => void }) {
  const { allowed, lines } = restartPermission(view.policy, name);
  const start = (): void => {
    const key = newIdempotencyKey();
    onClose();
    void startJob(`${actionLabel(RESTART)}: ${name}, ${view.name}`, () => submitJob(view.id, { action: RESTART, container: name }, key));
  };
  return (
    <Dialog title={t`Restart ${name}`} subtitle={view.name} size="narrow" onClose={onClose}>
      <div class="body">
        {allowed ? (
          <p>{t`${name} is stopped and started again on ${view.name}. Connections to it may end, and what it serves is unavailable for a moment. If it does not start, the job says so.`}</p>
        ) : (
          <>
            <PolicyLines view={view} refused={[name]} lines={lines} />
            {!lines.some((line) => line.startsWith("mode")) && (
              <p>{t`The hub can then restart this container and change nothing else about it. The order is carried out by root on the server.`}</p>
            )}
          </>
        )}
      </div>
      <Foot onClose={onClose} focused {...(allowed ? {} : { out: t`Close` })}>
        {allowed ? (
          <Button kind="primary" onClick={start}>
            {t`Restart`}
          </Button>
        ) : (
          <CopyButton slim={false} text={() => lines.join("\n")} />
        )}
      </Foot>
    </Dialog>
  );
}
