/** Small charts of the node's CPU, memory, disk and network while a job ran. */

import { useEffect, useState } from "preact/hooks";
import { jobWindow, linePath, sumOfSeries } from "../../core/jobs/job-load";
import { seriesName } from "../../core/metrics/series";
import { clock, percent, rate, size, t } from "../../core/text";
import { hubNow } from "../../state/clock";
import { DISK, loadJobHistory, loadNode, NETWORK, watchNode } from "../../state/job-load";
import type { HistoryView, JobView, NodeView } from "../../state/types";
import { usePolling } from "../bulk/use-polling";
import { devicesOf, interfacesOf } from "../node/panels";

const EVERY_MS = 3000;
/** The load is read this long after the end of a job, because samples of its last seconds may arrive late. */
const SETTLE_S = 90;

interface Load {
  node: NodeView;
  window: { from: number; to: number };
  past: HistoryView;
}

async function read(job: JobView, known: NodeView | null): Promise<Load> {
  const node = known ?? (await loadNode(job.node_id));
  const window = jobWindow(job.started_at ?? job.created_at, job.ended_at, hubNow());
  const past = await loadJobHistory(job.node_id, devicesOf(node)[0] ?? "", interfacesOf(node)[0] ?? "", window);
  return { node, window, past };
}

export function JobLoad({ job }: { job: JobView }) {
  const [node, setNode] = useState<NodeView | null>(null);
  const { found } = usePolling(
    `${job.id} ${job.ended_at ?? ""}`,
    EVERY_MS,
    () => read(job, node),
    () => job.ended_at === null || hubNow() < job.ended_at + SETTLE_S,
  );
  useEffect(() => (job.ended_at === null ? watchNode(job.node_id) : undefined), [job.node_id, job.ended_at === null]);
  useEffect(() => {
    if (found) setNode(found.node);
  }, [found]);
  if (!found) return null;
  const { past, window } = found;
  const averages = (names: readonly string[]): (number | null)[] => sumOfSeries(names.map((name) => past.series[name]?.avg ?? []));
  const [device, network] = [devicesOf(found.node)[0], interfacesOf(found.node)[0]];
  const memory = found.node.identity.memory_bytes || null;
  return (
    <section class="card job-load" aria-label={t`Load of the server during this job`}>
      <Cell title={t`CPU`} values={averages(["cpu.total"])} top={100} words={percent} colour={1} {...{ past, window, job }} />
      <Cell title={t`Memory`} values={averages(["memory.used"])} top={memory} words={size} colour={2} {...{ past, window, job }} />
      {device && (
        <Cell
          title={t`Disk, ${device}`}
          values={averages(DISK.map((name) => seriesName(name, "device", device)))}
          top={null}
          words={rate}
          colour={3}
          {...{ past, window, job }}
        />
      )}
      {network && (
        <Cell
          title={t`Network, ${network}`}
          values={averages(NETWORK.map((name) => seriesName(name, "interface", network)))}
          top={null}
          words={rate}
          colour={4}
          {...{ past, window, job }}
        />
      )}
    </section>
  );
}

interface CellProps extends Pick<Load, "past" | "window"> {
  job: JobView;
  title: string;
  values: readonly (number | null)[];
  /** The upper bound of the scale; null = the largest value. */
  top: number | null;
  words: (value: number | null) => string;
  colour: number;
}

function Cell({ job, past, window, title, values, top, words, colour }: CellProps) {
  const measured = values.filter((value) => value !== null);
  const most = measured.length ? Math.max(...measured) : null;
  const shown = job.ended_at === null ? (measured.at(-1) ?? null) : most;
  const place = (at: number): number => Math.max(0, Math.min(100, ((at - window.from) / (window.to - window.from)) * 100));
  const [begin, end] = [place(job.started_at ?? job.created_at), place(job.ended_at ?? window.to)];
  return (
    <div>
      <p class="row">
        <span class="t3 cut grow">{title}</span>
        <b class="num">{job.ended_at === null ? words(shown) : t`max ${words(shown)}`}</b>
      </p>
      <svg
        class={`load-line line-${colour}`}
        viewBox="0 0 100 100"
        preserveAspectRatio="none"
        role="img"
        aria-label={t`${title}, at most ${words(most)}`}
      >
        <rect x={begin} y="0" width={Math.max(0.5, end - begin)} height="100" />
        <path
          d={linePath(past.times, past.step, values, window, top ?? Math.max((most ?? 0) * 1.15, 1))}
          vector-effect="non-scaling-stroke"
        />
      </svg>
      <p class="row t3 meta">
        <span class="grow">{clock(window.from)}</span>
        <span>{clock(window.to)}</span>
      </p>
    </div>
  );
}
