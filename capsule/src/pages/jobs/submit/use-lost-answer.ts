import { useEffect, useState } from "preact/hooks";
import { findUnconfirmedJob, type UnconfirmedJob } from "../../../core/jobs/unconfirmed-jobs";
import { hubNow } from "../../../state/clock";
import { jobs } from "../../../state/jobs";
import { user } from "../../../state/session";
import type { JobView } from "../../../state/types";

interface LostAnswer {
  /** What is sent now: to be called before. Gives what is to be called where no answer came. */
  mark: (action: string, nodes: readonly string[]) => () => void;
}

/** An order that was sent and not answered may have been taken: then its jobs are told of, now or as soon as the hub is back, and `found` goes on from the first one. */
export function useLostAnswer(found: (job: JobView) => void): LostAnswer {
  const [sent, setSent] = useState<UnconfirmedJob | null>(null);
  const job = sent && findUnconfirmedJob(jobs.value, sent);
  useEffect(() => {
    if (job) found(job);
  }, [job?.id]);
  return {
    mark(action, nodes) {
      const of = { action, nodes, by: user.peek()?.username ?? "", at: hubNow() };
      // The first try counts: another is for the same.
      return () => setSent((before) => (before?.action === action ? before : of));
    },
  };
}
