/** The choice of the sort order of cards, which have no table head. */

import { t } from "../../core/text";
import { setQuery } from "../../state/router";
import type { SortKey } from "./sort-filter";

/** The sort orders, each in its usual direction. */
const SORTS: readonly (readonly [string, string])[] = [
  ["-state", t`Worst first`],
  ["name", t`Name`],
  ["-cpu", t`CPU`],
  ["-memory", t`Memory`],
  ["-disk", t`Disk`],
  ["-network", t`Network`],
  ["-load", t`Load`],
  ["-temperature", t`Temperature`],
  ["-updates", t`Updates`],
  ["-up", t`Uptime`],
];

const turned = (sort: string): string => (sort.startsWith("-") ? sort.slice(1) : `-${sort}`);

export function SortMenu({ sort, down }: { sort: SortKey; down: boolean }) {
  const value = (down ? "-" : "") + sort;
  const known = SORTS.some(([key]) => key === value);
  const words = SORTS.find(([key]) => key === turned(value))?.[1];
  return (
    <select
      class="input"
      aria-label={t`Sort by`}
      value={value}
      onChange={({ currentTarget }) => setQuery({ sort: currentTarget.value === "-state" ? null : currentTarget.value })}
    >
      {SORTS.map(([key, label]) => (
        <option key={key} value={key}>
          {label}
        </option>
      ))}
      {!known && <option value={value}>{t`${words ?? ""}, reversed`}</option>}
      {known && <option value={turned(value)}>{t`Reverse order`}</option>}
    </select>
  );
}
