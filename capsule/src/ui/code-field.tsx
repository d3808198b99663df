import type { Ref } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { codeDigits } from "../core/access/account-labels";

const LENGTH = 6;

interface Props {
  label: string;
  value: string;
  onText: (digits: string) => void;
  /** Called with the sixth digit. */
  onFull?: (digits: string) => void;
  wrong?: string;
  autofocus?: boolean;
  inputRef?: Ref<HTMLInputElement>;
}

/** A field for a six-digit code: one input for keyboard, paste, autofill and screen readers, and six cells that draw its digits. */
export function CodeField({ label, value, onText, onFull, wrong = "", autofocus = false, inputRef }: Props) {
  const id = useId();
  const input = useRef<HTMLInputElement | null>(null);
  const [focused, setFocused] = useState(false);
  const [range, setRange] = useState<readonly [number, number]>([0, 0]);
  const look = (): void => {
    const field = input.current;
    if (!field) return;
    // The caret stays at the end: in the middle it would not match the drawn digits.
    if (field.selectionStart === field.selectionEnd && field.selectionEnd !== field.value.length)
      field.setSelectionRange(field.value.length, field.value.length);
    setRange([field.selectionStart ?? 0, field.selectionEnd ?? 0]);
  };
  useEffect(look, [value]);
  const active = (cell: number): boolean =>
    focused && (range[0] === range[1] ? cell === Math.min(value.length, LENGTH - 1) : cell >= range[0] && cell < range[1]);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class={`code-cells ${wrong ? "invalid" : ""}`}>
        <input
          {...(autofocus ? { autofocus: true } : {})}
          ref={(element) => {
            input.current = element;
            if (typeof inputRef === "function") inputRef(element);
            else if (inputRef) inputRef.current = element;
          }}
          id={id}
          name="one-time-code"
          type="text"
          inputMode="numeric"
          autocomplete="one-time-code"
          spellcheck={false}
          required
          value={value}
          aria-invalid={wrong ? true : undefined}
          aria-describedby={wrong ? `${id}-wrong` : undefined}
          onFocus={() => {
            setFocused(true);
            look();
          }}
          onBlur={() => setFocused(false)}
          onSelect={look}
          onInput={(event) => {
            const digits = codeDigits(event.currentTarget.value);
            event.currentTarget.value = digits;
            onText(digits);
            if (digits.length === LENGTH && digits !== value) onFull?.(digits);
          }}
        />
        {Array.from({ length: LENGTH }, (_, cell) => (
          <span key={cell} class={active(cell) ? "active" : ""} aria-hidden="true">
            {value[cell] ?? (active(cell) && value.length === cell ? <i /> : "")}
          </span>
        ))}
      </div>
      {wrong && (
        <p class="wrong" id={`${id}-wrong`} role="alert">
          {wrong}
        </p>
      )}
    </div>
  );
}
