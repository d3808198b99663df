/** The rules whose alerts fire for nodes. */

import { useEffect, useState } from "preact/hooks";
import type { FiringRule } from "../../core/alerts/firing-thresholds";
import { firingRules } from "../../state/firing-rules";
import { ApiError, type NodeView } from "../../state/types";

/** The firing rules by node. They are loaded again when other alerts fire. After an error the charts lack only threshold lines. */
export function useFiring(nodes: readonly NodeView[]): ReadonlyMap<string, readonly FiringRule[]> {
  const [firing, setFiring] = useState<ReadonlyMap<string, readonly FiringRule[]>>(new Map());
  const alarmed = nodes.filter(({ health }) => health.findings.length > 0);
  const wanted = alarmed.map(({ id, health }) => [id, ...health.findings.map((one) => one.alert_id)].join()).join(" ");
  useEffect(() => {
    let unmounted = false;
    const read = async (): Promise<void> => {
      const found = await Promise.all(alarmed.map(async ({ id }) => [id, await readOf(id)] as const));
      if (!unmounted) setFiring((before) => new Map(found.map(([id, rules]) => [id, rules ?? before.get(id) ?? []])));
    };
    void read();
    return () => {
      unmounted = true;
    };
  }, [wanted]);
  return firing;
}

async function readOf(id: string): Promise<readonly FiringRule[] | null> {
  try {
    return await firingRules(id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}
