import type { ComponentChildren } from "preact";

interface Chip {
  key: string;
  label: string;
  mark?: ComponentChildren;
}

/** A filter with a few values: one value is chosen, or all. */
export function FilterChips({
  label,
  chips,
  value,
  onPick,
}: {
  label: string;
  chips: readonly Chip[];
  value: string;
  onPick: (key: string) => void;
}) {
  return (
    <div class="row wrap" role="group" aria-label={label}>
      {chips.map((chip) => (
        <button
          key={chip.key}
          type="button"
          class="chip"
          aria-pressed={value === chip.key}
          onClick={() => onPick(value === chip.key ? "" : chip.key)}
        >
          {chip.mark}
          {chip.label}
        </button>
      ))}
    </div>
  );
}
