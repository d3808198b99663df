/** The words of changes on a node. */

import { actionLabel } from "../jobs/job-labels";
import { t } from "../text/i18n";

interface ChangeLike {
  kind: string;
  object: string;
  from: string;
  to: string;
}

export const CHANGE_KINDS = {
  package: t`package`,
  unit: t`unit`,
  kernel: t`kernel`,
  boot: t`boot`,
  mount: t`mount`,
  listener: t`port`,
  agent: t`agent`,
  policy: t`policy`,
  job: t`job`,
  alert: t`alert`,
  rollout: t`roll-out`,
  file: t`configuration`,
};

/** What changed, from what to what. Of an event: its object and its type in words. */
export function changeWords({ kind, object, from, to }: ChangeLike): string {
  if (kind === "package" || kind === "kernel") {
    if (!from && to && object) return t`${object} ${to} installed`;
    if (from && !to) return t`${object} ${from} removed`;
    if (from) return t`${object} ${from} → ${to}`;
  }
  const what = to.replaceAll("_", " ");
  const thing = kind === "job" ? actionLabel(object) : object;
  return thing ? `${thing}: ${what}` : what;
}
