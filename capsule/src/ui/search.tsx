import type { ComponentChildren, VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  label: string;
  placeholder: string;
  text: string;
  onText: (text: string) => void;
  /** The error, shown below the field. */
  error?: ComponentChildren;
}

/** Keeps the text as typed until another one is set from outside. Esc clears it, then leaves the field. */
export function SearchField({ label, placeholder, text, onText, error = "" }: Props): VNode {
  const [, draw] = useState("");
  const { current: held } = useRef({ text, typed: text });
  if (text !== held.text) {
    held.text = text;
    if (text.trim() !== held.typed.trim()) held.typed = text; // set from outside
  }
  const set = (next: string): void => {
    held.typed = next;
    draw(next);
    onText(next);
  };
  return (
    <div class={`search grow ${error ? "invalid" : ""}`} role="search">
      <Icon name="search" size="small" />
      <input
        type="search"
        aria-label={label}
        aria-invalid={error ? true : undefined}
        aria-describedby={error ? "search-says" : undefined}
        placeholder={placeholder}
        value={held.typed}
        data-shortcut="/"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => set(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          event.stopPropagation();
          if (held.typed) set("");
          else event.currentTarget.blur();
        }}
      />
      <kbd class="only-desk">/</kbd>
      {error && (
        <span class="says" id="search-says" role="status">
          {error}
        </span>
      )}
    </div>
  );
}
