import { useEffect, useState } from "preact/hooks";
import { findUnconfirmedJob, type UnconfirmedJob } from "../../../core/jobs/unconfirmed-jobs";
import { hubNow } from "../../../state/clock";
import { jobs } from "../../../state/jobs";
import { user } from "../../../state/session";
import type { JobView } from "../../../state/types";

interface LostAnswer {
  /** Call it before a request is sent. The returned function marks the request as unanswered. */
  mark: (action: string, nodes: readonly string[]) => () => void;
}

/** An unanswered request may have reached the hub. Its jobs are found now or when the hub is back, and `found` gets the first one. */
export function useLostAnswer(found: (job: JobView) => void): LostAnswer {
  const [sent, setSent] = useState<UnconfirmedJob | null>(null);
  const job = sent && findUnconfirmedJob(jobs.value, sent);
  useEffect(() => {
    if (job) found(job);
  }, [job?.id]);
  return {
    mark(action, nodes) {
      const of = { action, nodes, by: user.peek()?.username ?? "", at: hubNow() };
      // The first try counts: a retry is for the same request.
      return () => setSent((before) => (before?.action === action ? before : of));
    },
  };
}
