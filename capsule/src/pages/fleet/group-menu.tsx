/** The choice of the grouping on phones. */

import { GROUPING_LABELS } from "../../core/jobs/job-labels";
import { GROUPINGS, type Grouping } from "../../core/nodes/node-groups";
import { t } from "../../core/text";
import { setQuery } from "../../state/router";

export function GroupMenu({ by }: { by: Grouping | null }) {
  return (
    <select
      class="input only-phone"
      aria-label={t`Groups`}
      value={by ?? ""}
      onChange={({ currentTarget }) => setQuery({ group: currentTarget.value, closed: null })}
    >
      <option value="">{t`No groups`}</option>
      {GROUPINGS.map((one) => (
        <option key={one} value={one}>
          {t`By ${GROUPING_LABELS[one] ?? one}`}
        </option>
      ))}
    </select>
  );
}
