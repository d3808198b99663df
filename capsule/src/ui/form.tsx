/** Fields of dialogs and settings. `field.tsx` has the fields of the sign-in form, which is in the first view. */

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { tagsError } from "../core/nodes/node-name";
import { t } from "../core/text";
import { FieldNote, type FieldProps, TextField } from "./field";

export function SelectField({
  label,
  hint,
  value,
  onPick,
  options,
}: FieldProps & { value: string; onPick: (value: string) => void; options: readonly [string, string][] }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        class="input"
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onPick(event.currentTarget.value)}
      >
        {options.map(([key, words]) => (
          <option key={key} value={key}>
            {words}
          </option>
        ))}
      </select>
      <FieldNote id={id} hint={hint} wrong="" />
    </div>
  );
}

export function Check({ checked, onCheck, children }: { checked: boolean; onCheck: (on: boolean) => void; children: ComponentChildren }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(event) => onCheck(event.currentTarget.checked)} />
      <span>{children}</span>
    </label>
  );
}

export function Switch({
  label,
  hint,
  checked,
  onCheck,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  onCheck: (on: boolean) => void;
}) {
  const id = useId();
  return (
    <div class="switch-row">
      <button
        type="button"
        class="switch"
        role="switch"
        aria-checked={checked}
        aria-labelledby={id}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onClick={() => onCheck(!checked)}
      />
      <div onClick={() => onCheck(!checked)}>
        <span id={id} class="medium">
          {label}
        </span>
        {hint && (
          <p class="meta t3" id={`${id}-hint`}>
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}

/** A field for tags. A tag that the hub would refuse is not cut but shown whole, with the error. */
export function TagsField({
  label,
  tags,
  wrong = "",
  focused = false,
  hint = t`add a tag`,
  onTags,
  check = tagsError,
}: {
  label: string;
  tags: readonly string[];
  /** Shown in the empty field. */
  hint?: string;
  wrong?: string;
  /** Whether the field has the focus when its dialog opens. */
  focused?: boolean;
  onTags: (tags: string[]) => void;
  /** The error of the entries; empty = none. */
  check?: (tags: readonly string[]) => string;
}) {
  const id = useId();
  const [text, setText] = useState("");
  const fault = check(tags) || wrong;
  const add = (): void => {
    const fresh = text
      .split(/[\s,]+/)
      .map((tag) => tag.trim())
      .filter((tag) => tag && !tags.includes(tag));
    if (fresh.length) onTags([...tags, ...new Set(fresh)]);
    setText("");
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="row wrap">
        {tags.map((tag) => (
          <span class="tag tall" key={tag}>
            {tag}
            <button type="button" aria-label={t`Remove tag ${tag}`} onClick={() => onTags(tags.filter((one) => one !== tag))}>
              ×
            </button>
          </span>
        ))}
        <input
          id={id}
          class="input tag-input"
          autofocus={focused}
          value={text}
          placeholder={hint}
          autocomplete="off"
          aria-invalid={fault ? true : undefined}
          aria-describedby={fault ? `${id}-wrong` : undefined}
          onInput={(event) => setText(event.currentTarget.value)}
          onBlur={add}
          onKeyDown={(event) => {
            if (event.key === "Enter" || event.key === ",") {
              if (text) event.preventDefault();
              add();
            } else if (event.key === "Escape")
              add(); // Esc closes the dialog, whose draft includes the tag
            else if (event.key === "Backspace" && !text && tags.length) onTags(tags.slice(0, -1));
          }}
        />
      </div>
      <FieldNote id={id} hint="" wrong={fault} />
    </div>
  );
}

/** A field for the name of the object to remove; the button stays disabled until it matches. */
export function ConfirmName({ name, value, onText }: { name: string; value: string; onText: (text: string) => void }) {
  return <TextField label={t`Type ${name} to confirm`} value={value} onText={onText} code input={{ "aria-required": true }} />;
}
