import type { ComponentChildren } from "preact";

/** Radio buttons in a row. Arrow keys select the next or previous option. */
export function Segmented<T extends string>({
  label,
  value,
  options,
  onPick,
}: {
  label: string;
  value: T;
  options: readonly { key: T; label: string; show?: ComponentChildren }[];
  onPick: (key: T) => void;
}) {
  return (
    <div
      class="segmented"
      role="radiogroup"
      aria-label={label}
      onKeyDown={(event) => {
        const step =
          event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 0;
        if (!step) return;
        event.preventDefault();
        const at = options.findIndex((option) => option.key === value);
        const next = options[(at + step + options.length) % options.length];
        if (!next) return;
        onPick(next.key);
        (event.currentTarget.children[options.indexOf(next)] as HTMLElement).focus();
      }}
    >
      {options.map((option) => (
        <button
          key={option.key}
          type="button"
          role="radio"
          aria-checked={option.key === value}
          tabIndex={option.key === value ? 0 : -1}
          aria-label={option.label}
          title={option.show ? option.label : undefined}
          onClick={() => onPick(option.key)}
        >
          {option.show ?? option.label}
        </button>
      ))}
    </div>
  );
}
