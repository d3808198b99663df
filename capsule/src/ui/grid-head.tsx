import type { JSX } from "preact";

interface Props {
  labels: readonly string[];
  /** The labels that only screen readers get. */
  unseen?: readonly string[];
  /** Labels of number columns. */
  right?: readonly string[];
}

/** The header row of a table with a grid layout. */
export function GridHead({ labels, unseen = [], right = [] }: Props) {
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

/** A cell of such a table; `head` = it names its row. */
export function Cell({ head = false, ...more }: Omit<JSX.IntrinsicElements["span"], "ref"> & { head?: boolean }) {
  return <span role={head ? "rowheader" : "cell"} {...more} />;
}
