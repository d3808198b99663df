/** The rows of the fleet's table: nodes in order, below the headers of their groups. Also merges a new order into the shown one. */

export const GROUPINGS = ["tag", "os", "state"] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface Groupable {
  id: string;
  tags: readonly string[];
  os: string;
  state: string;
}

export interface NodeGroup {
  /** Empty: nodes without a tag or an OS. */
  key: string;
  ids: readonly string[];
}

const STATES = ["offline", "critical", "warning", "stale", "reconnecting", "notice", "pending", "online"];
/** Natural order: t2 before t10. */
export const nameCollator = new Intl.Collator(undefined, { numeric: true });

/** Groups nodes by their first tag, OS or state. Nodes keep their order within a group. Nodes without a tag or an OS come last. */
export function groupNodes(nodes: readonly Groupable[], by: Grouping): NodeGroup[] {
  const found = new Map<string, string[]>();
  for (const node of nodes) {
    const key = by === "tag" ? (node.tags[0] ?? "") : node[by];
    const group = found.get(key);
    if (group) group.push(node.id);
    else found.set(key, [node.id]);
  }
  const rank = (key: string): number => (by === "state" ? STATES.indexOf(key) : key === "" ? 1 : 0);
  return [...found].map(([key, ids]) => ({ key, ids })).sort((a, b) => rank(a.key) - rank(b.key) || nameCollator.compare(a.key, b.key));
}

/** One row of the table: the header of a group, or a node. */
export type TableRow = { group: string; size: number; closed: boolean } | { id: string };

export function tableLines(groups: readonly NodeGroup[], closed: ReadonlySet<string>): TableRow[] {
  return groups.flatMap(({ key, ids }) => [
    { group: key, size: ids.length, closed: closed.has(key) },
    ...(closed.has(key) ? [] : ids.map((id) => ({ id }))),
  ]);
}

/** The shown order without removed nodes. A new node follows the node that is before it in the wanted order. */
export function keepOrder(shown: readonly string[], wanted: readonly string[]): string[] {
  const there = new Set(wanted);
  const next = shown.filter((id) => there.has(id));
  const placed = new Set(next);
  wanted.forEach((id, index) => {
    if (placed.has(id)) return;
    const before = wanted[index - 1];
    next.splice(before === undefined ? 0 : next.indexOf(before) + 1, 0, id);
    placed.add(id);
  });
  return next;
}

/** The closed groups in the query. Names are escaped, so that any tag fits. */
export const parseClosed = (text: string | null): ReadonlySet<string> => new Set(text === null ? [] : text.split(",").map(unescaped));

/** The parameter for these closed groups; null = none. The group without a name alone gives a comma, because an empty parameter is dropped. */
export const closedQuery = (closed: ReadonlySet<string>): string | null =>
  closed.size ? [...closed].sort().map(encodeURIComponent).join() || "," : null;

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
