/** The deployment of an open dialog. */

import type { Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { loadDeployment } from "../../state/deployment";
import { activeDeployments, followDeployment, watchDeployment } from "../../state/deployments";
import { closeDialog } from "../../state/dialogs";
import { toast } from "../../state/toasts";
import { ApiError, type DeploymentView } from "../../state/types";

/**
 * Watches a deployment while the dialog is open.
 *
 * Returns the deployment (null: none yet, or loading), a function that sets one started here, and a function that loads it again.
 */
export function useDeployment(id?: string): [Signal<DeploymentView> | null, (one: Signal<DeploymentView>) => void, () => void] {
  const [running, setRunning] = useState<Signal<DeploymentView> | null>(() => {
    const held = activeDeployments.peek().find((one) => one.id === id);
    return held ? followDeployment(held) : null;
  });
  const [reads, setReads] = useState(0);
  useEffect(() => {
    // An ended deployment is loaded, not followed.
    if (!id || running) return undefined;
    let left = false;
    loadDeployment(id).then(
      (one) => left || setRunning(one),
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        // Another dialog may be open by now.
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
