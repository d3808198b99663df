/** Shows the open dialog. Each dialog is loaded when it is first needed. */

import type { ComponentType, VNode } from "preact";
import { t } from "../core/text";
import { closeDialog, openDialog } from "../state/dialogs";
import { freezeQuestion } from "../state/freeze";
import { stepUp } from "../state/step-up";
import { toast } from "../state/toasts";
import { lazy, loadFailureText, reloadPage } from "../ui";

/** Reports that a dialog could not be loaded, and reports it again if the page cannot be reloaded. */
const reportLoadFailure = (what: string): unknown =>
  toast("fail", t`This part of the page could not be loaded`, loadFailureText(what), {
    label: t`Try again`,
    run: async () => (await reloadPage()) || reportLoadFailure(what),
  });

/** If a dialog fails to load, closes the dialog and reports the failure as a toast. */
const dialog = <P extends object>(what: string, load: () => Promise<ComponentType<P>>, away = closeDialog): ((props: P) => VNode | null) =>
  lazy(what, () =>
    load().catch((error: unknown) => {
      away();
      reportLoadFailure(what);
      throw error;
    }),
  );

const AddNode = dialog(t`the dialog`, async () => (await import("../pages/add/add")).AddNodeDialog);
const RemoveNode = dialog(t`the dialog`, async () => (await import("../pages/remove/remove")).RemoveNodeDialog);
const Redeploy = dialog(t`the dialog`, async () => (await import("../pages/redeploy/redeploy")).RedeployDialog);
const RedeployMany = dialog(t`the dialog`, async () => (await import("../pages/redeploy/redeploy-many")).RedeployManyDialog);
const Palette = dialog(t`the palette`, async () => (await import("./palette")).Palette);
const Shortcuts = dialog(t`the shortcuts`, async () => (await import("./help-dialogs")).ShortcutsDialog);
const NodeJob = dialog(t`the dialog`, async () => (await import("../pages/jobs/submit/job-dialog")).NodeJobDialog);
const BulkJob = dialog(t`the dialog`, async () => (await import("../pages/bulk/bulk-job-dialog")).BulkJobDialog);
const Rollout = dialog(t`the dialog`, async () => (await import("../pages/rollouts/rollout-dialog")).RolloutDialog);
const Tags = dialog(t`the dialog`, async () => (await import("../pages/bulk/tags")).TagsDialog);
const Maintenance = dialog(t`the dialog`, async () => (await import("../pages/alerts/maintenance-dialog")).MaintenanceDialog);
const Forget = dialog(t`the dialog`, async () => (await import("../pages/bulk/forget")).ForgetDialog);
const Views = dialog(t`the dialog`, async () => (await import("../pages/fleet/saved-views")).SavedViewsDialog);
const Columns = dialog(t`the dialog`, async () => (await import("../pages/fleet/columns-dialog")).ColumnsDialog);
const StepUpDialog = dialog(
  t`the dialog`,
  async () => (await import("./help-dialogs")).StepUpDialog,
  () => stepUp.peek()?.cancel(),
);

const FreezeDialog = dialog(
  t`the dialog`,
  async () => (await import("./help-dialogs")).FreezeDialog,
  () => freezeQuestion.peek()?.cancel(),
);

export function Dialogs() {
  return (
    <>
      <CurrentDialog />
      {freezeQuestion.value && <FreezeDialog />}
      <StepUp />
    </>
  );
}

/** The password question, which the login page needs too. */
export function StepUp() {
  return stepUp.value && <StepUpDialog />;
}

function CurrentDialog() {
  const wanted = openDialog.value;
  switch (wanted?.kind) {
    case "add":
      return <AddNode key={wanted.deployment ?? "new"} {...wanted} />;
    case "remove":
      return <RemoveNode key={wanted.deployment ?? wanted.node} {...wanted} />;
    case "redeploy":
      return <Redeploy key={wanted.node} {...wanted} />;
    case "redeploy-many":
      return <RedeployMany {...wanted} />;
    case "job":
      return <NodeJob {...wanted} />;
    case "bulk-job":
      return <BulkJob {...wanted} />;
    case "rollout":
      return <Rollout nodes={wanted.nodes} action={wanted.action} onClose={closeDialog} />;
    case "tags":
      return <Tags {...wanted} />;
    case "maintenance":
      return <Maintenance nodes={wanted.nodes} onClose={closeDialog} />;
    case "forget":
      return <Forget {...wanted} />;
    case "views":
      return <Views />;
    case "columns":
      return <Columns />;
    case "palette":
      return <Palette />;
    case "shortcuts":
      return <Shortcuts />;
    default:
      return null;
  }
}
