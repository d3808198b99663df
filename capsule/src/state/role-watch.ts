/** Closes dialogs of actions when the user loses the right to act. Dialogs that show a deployment stay open. */

import { effect } from "@preact/signals";
import { t } from "../core/text";
import { closeDialog, openDialog } from "./dialogs";
import { mayAct, user } from "./session";
import { toast } from "./toasts";

const FOR_ALL: readonly string[] = ["views", "shortcuts", "palette"];
let could = mayAct.peek();

effect(() => {
  const lost = could && !mayAct.value && user.peek() !== null;
  could = mayAct.value;
  const open = openDialog.peek();
  if (!lost || !open || FOR_ALL.includes(open.kind) || ("deployment" in open && open.deployment)) return;
  closeDialog();
  toast("fail", t`Your role does not allow this any more`, t`You now have read-only access; open dialogs were closed.`);
});
