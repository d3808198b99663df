import { effect } from "@preact/signals";
import { jobEnded, jobLabel } from "../../../core/jobs/job-labels";
import { checkResultText } from "../../../core/jobs/follow-up";
import { t } from "../../../core/text";
import { now } from "../../../state/clock";
import { showDialog } from "../../../state/dialogs";
import { nodeSignal } from "../../../state/fleet";
import { jobs } from "../../../state/jobs";
import { go } from "../../../state/router";
import { toast } from "../../../state/toasts";
import type { JobView, NodeView } from "../../../state/types";
import { toastStarted } from "./use-submit";

/** The node sends its new counts a moment after the job. After this long the known counts are the result. */
const COUNTS_S = 5;
/** Checks whose job is not seen to end within this long have no toast. */
const MOST_S = 900;

/** Reports the end of a check for updates in a toast, with the next step. The user stays where they are. */
export function followCheck(started: JobView, name: string): void {
  toastStarted(`${jobLabel(started)}: ${name}`, () => go(`/jobs/${started.id}`));
  const began = now.peek();
  const stop = effect(() => {
    const job = jobs.value.find(({ id }) => id === started.id) ?? started;
    const node = nodeSignal(started.node_id)?.value;
    const at = now.value;
    const isOver = jobEnded(job.state);
    if (node && !isOver && at - began < MOST_S) return;
    if (node && job.state === "succeeded" && (node.updates.checked_at ?? 0) < job.created_at && at - (job.ended_at ?? at) < COUNTS_S)
      return;
    // Not within the effect, which would then depend on the toasts that it writes.
    queueMicrotask(() => {
      stop();
      if (node && isOver) report(job, node);
    });
  });
}

function report(job: JobView, { id, name, updates }: NodeView): void {
  if (job.state !== "succeeded") {
    toast("fail", t`The check of ${name} failed`, job.error?.message ?? "", { label: t`Open`, run: () => go(`/jobs/${job.id}`) });
    return;
  }
  const next = updates.total ? { label: t`Preview`, run: () => showDialog({ kind: "job", node: id, action: "upgrade" }) } : undefined;
  toast("done", `${name}: ${checkResultText(updates)}`, updates.security ? t`${updates.security} for security` : "", next);
}
