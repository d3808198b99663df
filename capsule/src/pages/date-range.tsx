/** Two fields for the first and the last day of a range, which the address stores. */

import type { DayRange } from "../core/text/day-range";
import { t } from "../core/text";
import { setQuery } from "../state/router";

export function DateRange({ from, to }: DayRange) {
  return (
    <div class="row date-range" role="group" aria-label={t`Dates`}>
      <input
        type="date"
        class="input"
        aria-label={t`From date`}
        value={from}
        max={to || undefined}
        onChange={({ currentTarget }) => setQuery({ from: currentTarget.value || null })}
      />
      <span class="t3">–</span>
      <input
        type="date"
        class="input"
        aria-label={t`To date`}
        value={to}
        min={from || undefined}
        onChange={({ currentTarget }) => setQuery({ to: currentTarget.value || null })}
      />
    </div>
  );
}
