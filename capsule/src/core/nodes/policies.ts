/** Counts what the policies of many servers allow. */

import { pluralWord, t } from "../text";
import type { PolicyView } from "../../wire/schema.gen";

type PolicyLike = Pick<PolicyView, "mode" | "units"> & { journal: string };

/** For example "3 of 43 servers allow restarts of services, 12 the journal on demand, 40 are managed, 1 is not known". null = a policy that is not known. */
export function policySummary(policies: readonly (PolicyLike | null)[]): string {
  const known = policies.filter((policy) => policy !== null);
  const restarts = known.filter(({ mode, units }) => mode === "managed" && units.length > 0).length;
  const journal = known.filter(({ journal: lines }) => lines !== "off").length;
  const managed = known.filter(({ mode }) => mode === "managed").length;
  const unknown = policies.length - known.length;
  const parts = [
    t`${restarts} of ${policies.length} ${pluralWord(policies.length, "server")} ${pluralWord(restarts, "allows", "allow")} restarts of services`,
    t`${journal} the journal on demand`,
    t`${managed} ${pluralWord(managed, "is", "are")} managed`,
  ];
  if (unknown) parts.push(t`${unknown} ${pluralWord(unknown, "is", "are")} not known`);
  return `${parts.join(", ")}.`;
}
