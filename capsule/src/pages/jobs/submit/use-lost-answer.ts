import { useEffect, useState } from "preact/hooks";
import { findUnconfirmedJob, type UnconfirmedJob } from "../../../core/jobs/unconfirmed-jobs";
import { hubNow } from "../../../state/clock";
import { jobs } from "../../../state/jobs";
import { user } from "../../../state/session";
import type { JobView } from "../../../state/types";

interface LostAnswer {
  /** Call this before a request is sent. Call the returned function if the request gets no answer. */
  mark: (action: string, nodes: readonly string[]) => () => void;
}

/** Finds the jobs of a request that got no answer: the hub may have accepted it. `found` is called with the first job. */
export function useLostAnswer(found: (job: JobView) => void): LostAnswer {
  const [sent, setSent] = useState<UnconfirmedJob | null>(null);
  const job = sent && findUnconfirmedJob(jobs.value, sent);
  useEffect(() => {
    if (job) found(job);
  }, [job?.id]);
  return {
    mark(action, nodes) {
      const known = new Set(jobs.peek().map((one) => one.id));
      const of = { action, nodes, by: user.peek()?.username ?? "", at: hubNow(), known };
      // Keeps the time of the first try, because a retry sends the same request.
      return () => setSent((before) => (before?.action === action ? before : of));
    },
  };
}
