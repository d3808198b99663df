/** Repeated events as one row, and the days of a list. */

interface EventLike {
  type: string;
  severity: string;
  node_id: string | null;
  at: number;
  details: Readonly<Record<string, unknown>>;
}

/** Types that many nodes have at the same moment: after a restart of the hub, when a switch fails, or when a rule fires for all of them. */
const FOLDED: ReadonlySet<string> = new Set(["node_online", "node_offline", "node_registered", "node_joined", "agent_updated", "reboot_required", "updates_found", "security_updates_found", "alert_firing", "alert_resolved"]);
/** Fewer stay rows of their own. */
const LEAST = 5;
const APART_S = 600;
/** How many rows may stand between two events of a run. */
const BETWEEN = 20;

/** Events that may share a row. Alerts of different rules, levels or ends are different events. */
const keyOf = ({ type, severity, details: { rule, end } }: EventLike): string => JSON.stringify([type, severity, rule, end]);

/** The same event on different nodes is one run, at the place of its newest; every other event is a run of its own. Newest first. */
export function foldEvents<E extends EventLike>(events: readonly E[]): E[][] {
  const runs: E[][] = [];
  const newest = new Map<string, number>();
  for (const event of events) {
    const key = keyOf(event);
    const place = FOLDED.has(event.type) ? newest.get(key) : undefined;
    const run = place !== undefined && runs.length - place <= BETWEEN ? runs[place] : undefined;
    const last = run?.at(-1);
    if (run && last && Math.abs(last.at - event.at) <= APART_S && !run.some(({ node_id }) => node_id === event.node_id)) run.push(event);
    else newest.set(key, runs.push([event]) - 1);
  }
  // Too short a run is put back where its events were.
  const long = new Set(runs.filter((run) => run.length >= LEAST).flat());
  const done = new Set<E>();
  return events.flatMap((event) => {
    if (!long.has(event)) return [[event]];
    if (done.has(event)) return [];
    const run = runs.find(([first]) => first === event) ?? [event];
    run.forEach((one) => done.add(one));
    return [run];
  });
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
