import { useId } from "preact/hooks";

interface Option<T extends string> {
  key: T;
  label: string;
  hint: string;
  disabled?: boolean;
}

/** Radio buttons, each with a sentence. */
export function RadioCards<T extends string>({
  label,
  value,
  options,
  onPick,
}: {
  label: string;
  value: T;
  options: readonly Option<T>[];
  onPick: (key: T) => void;
}) {
  const id = useId();
  return (
    <fieldset class="choice">
      <legend class="label">{label}</legend>
      {options.map((option) => (
        <label key={option.key} class={option.key === value ? "chosen" : ""}>
          <input
            type="radio"
            name={id}
            value={option.key}
            checked={option.key === value}
            disabled={option.disabled ?? false}
            aria-labelledby={`${id}-${option.key}-name`}
            aria-describedby={`${id}-${option.key}`}
            onChange={() => onPick(option.key)}
          />
          <span>
            <span class="medium" id={`${id}-${option.key}-name`}>
              {option.label}
            </span>
            <small class="t3" id={`${id}-${option.key}`}>
              {option.hint}
            </small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
