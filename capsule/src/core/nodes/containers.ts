/** Containers of a node: the rows of their table, and which ones may be restarted. */

import { reader, type TableCell, type TableLike } from "./node-tables";
import { allowsVerb, fits, missingLines, type Policy } from "./units";

export const RESTART = "container-restart";
/** Engines with a socket through which containers are named and restarted. */
const SOCKETS = new Set(["docker", "podman"]);

export interface ContainerRow {
  engine: string;
  id: string;
  /** The name in the engine, or the id if the name is unknown. */
  name: string;
  /** The state by the engine or the cgroup: running, frozen, stopped, exited, restarting, dead … */
  state: string;
  /** null = the image and the name are unknown. */
  image: string | null;
  restarts: number | null;
  oomKills: number | null;
  startedAt: number | null;
  cpu: number | null;
  memory: number | null;
}

export interface ContainerPolicy extends Policy {
  containers: readonly string[];
}

type Latest = Readonly<Record<string, { value: number | null } | undefined>>;

const BAD = new Set(["dead", "restarting", "unhealthy", "stopped"]);
const RUNNING = new Set(["running", "frozen"]);
export const isBad = ({ state }: Pick<ContainerRow, "state">): boolean => BAD.has(state);
export const isRunning = ({ state }: Pick<ContainerRow, "state">): boolean => RUNNING.has(state);

const text = (cell: TableCell): string => (typeof cell === "string" ? cell : "");
const number = (cell: TableCell): number | null => (typeof cell === "number" ? cell : null);
/** Failed containers come first, then running ones, then ended ones. */
const rank = (row: ContainerRow): number => (isBad(row) ? 0 : isRunning(row) ? 1 : 2);

/** The rows of the table in the order of `rank`; containers of the same rank by use of CPU, then memory, the highest first. */
export function containerRows(table: TableLike, latest: Latest): ContainerRow[] {
  const read = reader(table, "engine", "id", "name", "state", "image", "restarts", "oom_kills", "started_at");
  const rows = table.rows.map((row): ContainerRow => {
    const [engine = null, id = null, name = null, state = null, image = null, restarts = null, kills = null, started = null] = read(row);
    const usage = (part: string): number | null => latest[`container.${part}{container=${text(name)}}`]?.value ?? null;
    return {
      engine: text(engine),
      id: text(id),
      name: text(name),
      state: text(state),
      image: text(image) || null,
      restarts: number(restarts),
      oomKills: number(kills),
      startedAt: number(started),
      cpu: usage("cpu"),
      memory: usage("memory"),
    };
  });
  return rows.sort((a, b) => rank(a) - rank(b) || (b.cpu ?? -1) - (a.cpu ?? -1) || (b.memory ?? -1) - (a.memory ?? -1));
}

export const hasSocket = (row: ContainerRow): boolean => SOCKETS.has(row.engine);
/** Whether only the id of the container is known: the policy does not name it, and the agent may not read its engine's socket. */
export const isUnnamed = (row: ContainerRow): boolean => hasSocket(row) && row.image === null;
/** Whether the engine names this container, so that a job can restart it. The policy may still refuse. */
export const isRestartable = (row: ContainerRow): boolean => hasSocket(row) && row.image !== null;

/** Names in the policy that no row has. They can be restarted although their engine reports no names. Empty if every engine reports names. */
export function namedInPolicy(policy: ContainerPolicy | null, rows: readonly ContainerRow[]): string[] {
  const named = new Set(rows.filter(isRestartable).map((row) => row.engine));
  if (!policy || !rows.some((row) => isUnnamed(row) && !named.has(row.engine))) return [];
  return policy.containers.filter(
    (name) => !name.includes("*") && !rows.some((row) => row.name === name) && restartPermission(policy, name).allowed,
  );
}

/** Whether the policy allows a restart of this container; if not, the lines of policy.conf that allow it. */
export function restartPermission(policy: ContainerPolicy | null, name: string): { allowed: boolean; lines: string[] } {
  const patterns = policy?.containers ?? [];
  const named = patterns.some((pattern) => fits(pattern.split("*"), name));
  const allowed = named && allowsVerb(policy, RESTART, patterns);
  return { allowed, lines: allowed ? [] : missingLines(policy, RESTART, "containers", patterns, named ? [] : [name]) };
}
