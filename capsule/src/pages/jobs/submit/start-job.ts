import { t } from "../../../core/text/i18n";
import { openDialog } from "../../../state/dialogs";
import { go, pageUrl } from "../../../state/router";
import { withStepUp } from "../../../state/step-up";
import { toast } from "../../../state/toasts";
import { ApiError, type JobView } from "../../../state/types";
import { isUnanswered, startedNote, submitErrorText } from "./use-submit";

/**
 * A job that begins with one press, without a dialog; its output is shown. Who is elsewhere when the answer comes, or in a dialog, stays there, is asked nothing,
 * and a note tells what became of it.
 *
 * `what` names it in a note; `send`, called again, gives the same order. `pressed`: in a note, so that the password may be asked for wherever one is.
 */
export async function startJob(what: string, send: () => Promise<JobView>, pressed = false): Promise<void> {
  const from = pageUrl.peek();
  const stays = (): boolean => pageUrl.peek() === from && !openDialog.peek() && !document.querySelector("dialog[open]");
  let asked = false;
  try {
    const path = `/jobs/${(await withStepUp(send, () => (asked = pressed || stays()))).id}`;
    if (stays()) go(path);
    else startedNote(what, () => go(path));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "auth.step_up_required" && asked) return; // who was asked would rather not
    toast("fail", isUnanswered(error) ? what : t`${what}: not started`, submitErrorText(error), { label: t`Retry`, run: () => void startJob(what, send, true) });
  }
}
