/** Many servers that are deployed again, and whose owners wrote other policies than the request. */

interface Found {
  outcome: string;
  current: string;
  wanted: string;
  digest: string;
}

interface DeploymentLike {
  node_id: string | null;
  state: string;
  policy_found: Found | null;
}

/** Servers with the same difference. */
export interface PolicyDifference<T> {
  current: string;
  wanted: string;
  rows: T[];
}

/** What a request that names the seen differences may write, by node: the digests of `policy_seen`. */
export const digestsOf = (rows: readonly DeploymentLike[]): Record<string, string> =>
  Object.fromEntries(rows.flatMap(({ node_id, policy_found }) => (node_id && policy_found ? [[node_id, policy_found.digest]] : [])));

/** The differences that nobody has confirmed, one entry for all servers with the same two texts. What the hub cannot change is left out. */
export function policyDifferences<T extends DeploymentLike>(rows: readonly T[]): PolicyDifference<T>[] {
  const found = new Map<string, PolicyDifference<T>>();
  for (const row of rows) {
    const { state, policy_found: difference } = row;
    if (state !== "failed" || difference?.outcome !== "differs" || !difference.digest) continue;
    const { current, wanted } = difference;
    const key = JSON.stringify([current, wanted]);
    const known = found.get(key);
    if (known) known.rows.push(row);
    else found.set(key, { current, wanted, rows: [row] });
  }
  return [...found.values()].sort((a, b) => b.rows.length - a.rows.length);
}
