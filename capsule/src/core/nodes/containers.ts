/** Containers on a node: the rows of its table. */

import { reader, type TableCell, type TableLike } from "./node-tables";

export interface ContainerRow {
  engine: string;
  id: string;
  /** The engine's name; without it, the id. */
  name: string;
  /** The engine's or the cgroup's word: running, frozen, stopped, exited, restarting, dead … */
  state: string;
  /** null = not known: the engine's socket may not be read. */
  image: string | null;
  restarts: number | null;
  oomKills: number | null;
  startedAt: number | null;
  cpu: number | null;
  memory: number | null;
}

type Latest = Readonly<Record<string, { value: number | null } | undefined>>;

const BAD = new Set(["dead", "restarting", "unhealthy", "stopped"]);
const RUNNING = new Set(["running", "frozen"]);
export const isBad = ({ state }: Pick<ContainerRow, "state">): boolean => BAD.has(state);
export const isRunning = ({ state }: Pick<ContainerRow, "state">): boolean => RUNNING.has(state);

const text = (cell: TableCell): string => (typeof cell === "string" ? cell : "");
const number = (cell: TableCell): number | null => (typeof cell === "number" ? cell : null);
/** Failed, then running, then ended ones. */
const rank = (row: ContainerRow): number => (isBad(row) ? 0 : isRunning(row) ? 1 : 2);

/** The failed ones first, then those that use most. */
export function containerRows(table: TableLike, latest: Latest): ContainerRow[] {
  const read = reader(table, "engine", "id", "name", "state", "image", "restarts", "oom_kills", "started_at");
  const rows = table.rows.map((row): ContainerRow => {
    const [engine = null, id = null, name = null, state = null, image = null, restarts = null, kills = null, started = null] = read(row);
    const usage = (part: string): number | null => latest[`container.${part}{container=${text(name)}}`]?.value ?? null;
    return { engine: text(engine), id: text(id), name: text(name), state: text(state), image: text(image) || null, restarts: number(restarts), oomKills: number(kills), startedAt: number(started), cpu: usage("cpu"), memory: usage("memory") };
  });
  return rows.sort((a, b) => rank(a) - rank(b) || (b.cpu ?? -1) - (a.cpu ?? -1) || (b.memory ?? -1) - (a.memory ?? -1));
}
