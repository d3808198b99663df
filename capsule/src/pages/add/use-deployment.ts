/** The deployment of an open dialog. */

import type { Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text";
import { loadDeployment } from "../../state/deployment";
import { activeDeployments, followDeployment, watchDeployment } from "../../state/deployments";
import { closeDialog } from "../../state/dialogs";
import { toast } from "../../state/toasts";
import { ApiError, type DeploymentView } from "../../state/types";

/**
 * Watches a deployment while its dialog is open.
 *
 * Returns the deployment (null = none yet, or loading), a function that sets a deployment started in the dialog, and a function that loads
 * the deployment again.
 */
export function useDeployment(id?: string): [Signal<DeploymentView> | null, (one: Signal<DeploymentView>) => void, () => void] {
  const [running, setRunning] = useState<Signal<DeploymentView> | null>(() => {
    const active = activeDeployments.peek().find((one) => one.id === id);
    return active ? followDeployment(active) : null;
  });
  const [reads, setReads] = useState(0);
  useEffect(() => {
    // Loads a deployment that is not running.
    if (!id || running) return undefined;
    let left = false;
    loadDeployment(id).then(
      (one) => left || setRunning(one),
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        // After this dialog has closed, another one may be open.
        if (left) return;
        toast("fail", t`The deployment could not be read`, error.detail);
        closeDialog();
      },
    );
    return () => {
      left = true;
    };
  }, [id, reads]);
  const shown = running?.peek().id;
  useEffect(() => (shown ? watchDeployment(shown) : undefined), [shown]);
  return [running, setRunning, () => setReads((count) => count + 1)];
}
