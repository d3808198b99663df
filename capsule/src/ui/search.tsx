import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  label: string;
  placeholder: string;
  text: string;
  onText: (text: string) => void;
  /** The error below the field. */
  error?: ComponentChildren;
  /** Moves the focus to what was found, after ↓ or Enter. */
  onLeave?: () => void;
}

/** A search field. It shows the text as typed until `text` changes to another text. Esc clears it, and in an empty field leaves the field. */
export function SearchField({ label, placeholder, text, onText, error = "", onLeave }: Props) {
  const [, draw] = useState("");
  const { current: state } = useRef({ text, typed: text });
  if (text !== state.text) {
    state.text = text;
    if (text.trim() !== state.typed.trim()) state.typed = text; // set from outside
  }
  const set = (next: string): void => {
    state.typed = next;
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
        value={state.typed}
        data-shortcut="/"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => set(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (onLeave && (event.key === "ArrowDown" || event.key === "Enter")) {
            event.preventDefault();
            onLeave();
            return;
          }
          if (event.key !== "Escape") return;
          event.preventDefault();
          event.stopPropagation();
          if (state.typed) set("");
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
