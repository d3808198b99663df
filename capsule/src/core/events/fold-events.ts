/** Repeated events as one row, and the days of a list. */

interface EventLike {
  type: string;
  node_id: string | null;
  at: number;
}

/** Types that many nodes have at the same moment: after a restart of the hub, or when a switch fails. */
const FOLDED: ReadonlySet<string> = new Set(["node_online", "node_offline"]);
/** Fewer stay rows of their own. */
const LEAST = 5;
const APART_S = 600;

/** Runs of the same event on different nodes, one after the other in the list; every other event is a run of its own. */
export function foldEvents<E extends EventLike>(events: readonly E[]): E[][] {
  const runs: E[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const same = last && FOLDED.has(event.type) && last.type === event.type && Math.abs(last.at - event.at) <= APART_S && !run?.some(({ node_id }) => node_id === event.node_id);
    if (same) run?.push(event);
    else runs.push([event]);
  }
  return runs.flatMap((run) => (run.length < LEAST ? run.map((event) => [event]) : [run]));
}

/** Runs by the local day of their first event, in their order. `dayOf`: the start of a day. */
export function byDay<E extends EventLike>(runs: readonly E[][], dayOf: (at: number) => number): { day: number; runs: E[][] }[] {
  const days: { day: number; runs: E[][] }[] = [];
  for (const run of runs) {
    const day = dayOf(run[0]?.at ?? 0);
    const last = days.at(-1);
    if (last?.day === day) last.runs.push(run);
    else days.push({ day, runs: [run] });
  }
  return days;
}
