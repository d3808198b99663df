/** The columns that the user has added to the fleet's table. */

import { chosenColumns, COLUMN_LABELS, columnText } from "../../core/nodes/columns";
import type { Row } from "../../state/fleet";
import { Icon } from "../../ui";
import { columnsOf, type SortKey } from "./sort-filter";

interface HeadProps {
  keys: readonly string[];
  sort: SortKey;
  down: boolean;
  onSort: (key: SortKey) => void;
}

export function ColumnHeads({ keys, sort, down, onSort }: HeadProps) {
  return (
    <>
      {chosenColumns(keys).map((key) => (
        <span key={key} role="columnheader" aria-sort={key === sort ? (down ? "descending" : "ascending") : "none"}>
          <button type="button" onClick={() => onSort(key)}>
            {COLUMN_LABELS[key]}
            {key === sort && <Icon name={down ? "arrow-down" : "arrow-up"} size="small" />}
          </button>
        </span>
      ))}
    </>
  );
}

export function ColumnCells({ keys, row }: { keys: readonly string[]; row: Row }) {
  const shown = columnsOf(row);
  return (
    <>
      {chosenColumns(keys).map((key) => {
        const text = columnText(key, shown);
        return (
          <span
            key={key}
            role="cell"
            class={`cut ${key === "failed" || (key === "reboot" && shown.reboot === "yes") ? "" : "t2"}`}
            title={text}
          >
            {text || <span class="unknown">—</span>}
          </span>
        );
      })}
    </>
  );
}
