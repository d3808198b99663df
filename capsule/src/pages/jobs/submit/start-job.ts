import { t } from "../../../core/text";
import { openDialog } from "../../../state/dialogs";
import { go, pageUrl } from "../../../state/router";
import { withStepUp } from "../../../state/step-up";
import { toast } from "../../../state/toasts";
import { ApiError, type JobView } from "../../../state/types";
import { isUnanswered, toastStarted, stepUpQuestion, submitErrorText } from "./use-submit";

/**
 * Starts a job without a dialog, and opens its page. If the user has opened another page or a dialog since, only a toast reports the result.
 *
 * `what` is the title of the toast. `send` sends the request, and the same request when it is called again. `pressed`: the user has pressed
 * "Retry" in the toast, so the password question may appear on any page. `then` is called in place of all this if the job has started.
 */
export async function startJob(what: string, send: () => Promise<JobView>, pressed = false, then?: (job: JobView) => void): Promise<void> {
  const from = pageUrl.peek();
  const stays = (): boolean => pageUrl.peek() === from && !openDialog.peek() && !document.querySelector("dialog[open]");
  let passwordAsked = false;
  try {
    const job = await withStepUp(send, stepUpQuestion(what), () => (passwordAsked = pressed || stays()));
    if (then) return then(job);
    const path = `/jobs/${job.id}`;
    if (stays()) go(path);
    else toastStarted(what, () => go(path));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "auth.step_up_required" && passwordAsked) return; // the user closed the password question
    toast("fail", isUnanswered(error) ? what : t`${what}: not started`, submitErrorText(error), {
      label: t`Retry`,
      run: () => void startJob(what, send, true, then),
    });
  }
}
