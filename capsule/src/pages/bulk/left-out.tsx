/** The chosen nodes on which an order has no job: each reason once, with its nodes. */

import { useEffect, useState } from "preact/hooks";
import { leftOutReasons } from "../../core/jobs/left-out";
import { plural, t } from "../../core/text";
import { forEachLimited } from "../../state/bulk";
import { loadBatch, loadPlan } from "../../state/job-detail";
import { ApiError, type BatchView } from "../../state/types";
import { Glyph } from "../../ui";

const AT_ONCE = 4;
/** The most plans that are read to tell an empty one from one that was not ordered. */
const MOST_PLANS = 200;

type Reasons = ReturnType<typeof leftOutReasons>;

/** Reason -> nodes. If the order was started from plans, it reads those too. */
export function useLeftOut(batch: BatchView, nameOf: (node: string) => string): Reasons {
  const [planned, setPlanned] = useState<BatchView | null>(null);
  const [steps, setSteps] = useState<ReadonlyMap<string, number>>(new Map());
  const from = batch.plans_of;
  useEffect(() => {
    setPlanned(null);
    setSteps(new Map());
    if (from === null) return undefined;
    let left = false;
    const read = async (): Promise<void> => {
      try {
        const found = await loadBatch(from);
        if (left) return;
        setPlanned(found);
        const busy = new Set(batch.jobs.map(({ node_id }) => node_id));
        const idle = found.jobs.filter(({ node_id, planned: has }) => has && !busy.has(node_id));
        const counts = new Map<string, number>();
        await forEachLimited(idle.slice(0, MOST_PLANS), AT_ONCE, async ({ id, node_id }) => {
          const plan = await loadPlan(id);
          if (plan.complete) counts.set(node_id, plan.steps.length);
        });
        if (!left) setSteps(counts);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // the plans have expired: what the hub refused is still known
      }
    };
    void read();
    return () => {
      left = true;
    };
  }, [from]);
  return leftOutReasons(batch, planned, steps, nameOf);
}

export function LeftOut({ reasons, total, nameOf }: { reasons: Reasons; total: number; nameOf: (node: string) => string }) {
  const count = reasons.reduce((sum, [, nodes]) => sum + nodes.length, 0);
  if (!count) return null;
  return (
    <section class="sessions" aria-label={t`Left out`}>
      <h2 class="strong">{t`${count} of the ${plural(total + count, "chosen node")} have no job`}</h2>
      <ul class="card rows-card">
        {reasons.map(([why, nodes]) => (
          <li key={why}>
            <Glyph kind="ended" label={t`left out`} />
            <div class="grow">
              <p>
                <b class="num">{nodes.length}</b> <span class="t2 anywhere">{why}</span>
              </p>
              <p class="meta">
                {nodes.map((node, at) => (
                  <>
                    {at > 0 && ", "}
                    <a class="accent" href={`/n/${node}`}>
                      {nameOf(node)}
                    </a>
                  </>
                ))}
              </p>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
