import type { VNode } from "preact";

interface Props {
  labels: readonly string[];
  /** Those of them that are only read out: of columns that a sighted reader knows by what stands in them. */
  unseen?: readonly string[];
  /** Those of them over numbers. */
  right?: readonly string[];
}

/** The first row of a table that is laid out as a grid: what its columns are. */
export function GridHead({ labels, unseen = [], right = [] }: Props): VNode {
  return (
    <div role="row" class="head" aria-rowindex={1}>
      {labels.map((label) => (
        <span key={label} role="columnheader" class={right.includes(label) ? "right" : ""}>
          {unseen.includes(label) ? <span class="hidden-text">{label}</span> : label}
        </span>
      ))}
    </div>
  );
}
