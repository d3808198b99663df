/** The hub's findings about nodes: labels, order, and counts. */

import { healthRank, type FindingLike, type Health, type HealthLike } from "./node-status";
import { t } from "../text";

/** The labels of the kinds of findings, the most urgent first. */
const KINDS: Readonly<Record<string, string>> = {
  offline: t`offline`,
  packages_broken: t`broken packages`,
  unit_failed: t`failed unit`,
  filesystem: t`disk space`,
  job_failed: t`failed job`,
  oom: t`out of memory`,
  reboot_due: t`reboot`,
  memory: t`memory`,
  load: t`load`,
  cpu: t`CPU`,
  lists_stale: t`old package lists`,
  patch_missed: t`missed patch policy`,
  updates: t`security updates`,
  deadline_missed: t`missed event`,
  rule: t`own rule`,
};

const ORDER = Object.keys(KINDS);
/** Larger is more urgent. An unknown kind comes after failed jobs. */
const urgencyOf = (kind: string): number => -(ORDER.indexOf(kind) + 1 || 5.5);

export const kindLabel = (kind: string): string => KINDS[kind] ?? kind.replace(/_/g, " ");

/**
 * Larger is worse. Sorts the fleet by the health of a node, then by its worst finding.
 *
 * Until the hub finds `offline`, an offline node without a critical finding comes after the critical ones, because it may be back in seconds.
 */
export function severityOf({
  health,
  node: {
    health: { findings },
  },
}: RowLike): number {
  const [worst] = findings;
  const urgency = worst ? urgencyOf(worst.kind) / 100 : -0.5;
  if (health !== "off" || findings.some(({ kind }) => kind === "offline")) return healthRank[health] + urgency;
  return worst?.level === "critical" ? healthRank.crit + urgency : 5.5;
}

interface RowLike {
  health: Health;
  node: { health: HealthLike };
}

const NONE: readonly string[] = [];

/** The kinds of findings about a node, the worst first. `offline` is added before the hub finds it, and removed while the node reconnects. */
export function findingKinds({
  health,
  node: {
    health: { findings },
  },
}: RowLike): readonly string[] {
  if (!findings.length && health !== "off") return NONE;
  const kinds = new Set(findings.map(({ kind }) => kind));
  if (health === "back") kinds.delete("offline");
  return health === "off" ? [...new Set(["offline", ...kinds])] : [...kinds];
}

export interface KindCount {
  kind: string;
  level: FindingLike["level"];
  nodes: number;
}

const RANKS = { critical: 2, warning: 1, notice: 0 } as const;

/** How many nodes have findings, and how many have each kind: the worst level first, then the most urgent kind. */
export function countFindings(rows: readonly RowLike[]): { nodes: number; kinds: KindCount[] } {
  const found = new Map<string, KindCount>();
  let nodes = 0;
  for (const row of rows) {
    const kinds = findingKinds(row);
    if (kinds.length) nodes += 1;
    for (const kind of kinds) {
      const level = row.node.health.findings.find((one) => one.kind === kind)?.level ?? "warning";
      const one = found.get(kind);
      if (!one) found.set(kind, { kind, level, nodes: 1 });
      else {
        one.nodes += 1;
        if (RANKS[level] > RANKS[one.level]) one.level = level;
      }
    }
  }
  return { nodes, kinds: [...found.values()].sort((a, b) => RANKS[b.level] - RANKS[a.level] || urgencyOf(b.kind) - urgencyOf(a.kind)) };
}
