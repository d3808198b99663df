/** The rules whose alerts fire for a node. */

import { useEffect, useState } from "preact/hooks";
import type { FiringRule } from "../../core/alerts/firing-thresholds";
import { firingRules } from "../../state/firing-rules";
import { ApiError, type NodeView } from "../../state/types";

/** Read again when other alerts fire. Without an answer charts only lack their lines. */
export function useFiring({ id, health }: NodeView): readonly FiringRule[] {
  const [firing, setFiring] = useState<readonly FiringRule[]>([]);
  const wanted = health.findings.map((one) => one.alert_id).join();
  useEffect(() => {
    let gone = false;
    const read = async (): Promise<void> => {
      try {
        const found = wanted ? await firingRules(id) : [];
        if (!gone) setFiring(found);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
      }
    };
    void read();
    return () => {
      gone = true;
    };
  }, [id, wanted]);
  return firing;
}
