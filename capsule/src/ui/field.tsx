import type { ComponentChildren, JSX, Ref } from "preact";
import { useId, useState } from "preact/hooks";
import { t } from "../core/text";
import { Button } from "./button";

interface FormProps extends Omit<JSX.IntrinsicElements["form"], "onSubmit" | "ref"> {
  onSubmit: () => void;
  formRef?: Ref<HTMLFormElement>;
}

/** A form that the page sends itself. */
export function Form({ onSubmit, formRef = null, ...more }: FormProps) {
  return (
    <form
      {...more}
      ref={formRef}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    />
  );
}

export interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  /** The error of the entry; empty = none. */
  wrong?: string;
  class?: string;
}

interface TextProps extends FieldProps {
  value: string;
  onText: (text: string) => void;
  type?: string;
  inputRef?: Ref<HTMLInputElement>;
  /** Whether an error shows only once the field is left: what is half typed is not wrong yet. */
  late?: boolean;
  /** Whether it is a name or a word for a program, which no browser corrects. */
  code?: boolean;
  /** Further attributes: `autocomplete` (off by itself), `placeholder`, `inputmode`, `autofocus` … */
  input?: Readonly<Record<string, string | number | boolean | undefined>>;
}

interface InputProps extends Pick<TextProps, "hint" | "value" | "onText"> {
  id: string;
  wrong: string;
  inputRef: Ref<HTMLInputElement> | undefined;
  attributes: object;
}

function Input({ id, hint, wrong, value, onText, inputRef, attributes }: InputProps) {
  return (
    <input
      {...attributes}
      ref={inputRef ?? null}
      id={id}
      class="input"
      value={value}
      aria-invalid={wrong ? true : undefined}
      aria-describedby={wrong ? `${id}-wrong` : hint ? `${id}-hint` : undefined}
      onInput={(event) => onText(event.currentTarget.value)}
    />
  );
}

export function TextField({
  label,
  hint,
  wrong: fault = "",
  value,
  onText,
  type = "text",
  inputRef,
  late = false,
  code = false,
  input = {},
  class: extra = "",
}: TextProps) {
  const id = useId();
  const [typing, setTyping] = useState(false);
  const wrong = typing ? "" : fault;
  return (
    <div class={`field ${extra}`} onInput={() => setTyping(late)} onFocusOut={() => setTyping(false)}>
      <label for={id}>{label}</label>
      <Input
        {...{ id, hint, wrong, value, onText, inputRef }}
        attributes={{ autocomplete: "off", ...(code ? { spellcheck: false, autocapitalize: "off" } : {}), ...input, type }}
      />
      <FieldNote id={id} hint={hint} wrong={wrong} />
    </div>
  );
}

export function SecretField({ label, hint, wrong = "", value, onText, inputRef, input = {}, class: extra = "" }: TextProps) {
  const id = useId();
  const [shown, setShown] = useState(false);
  return (
    <div class={`field ${extra}`}>
      <label for={id}>{label}</label>
      <div class="secret">
        <Input
          {...{ id, hint, wrong, value, onText, inputRef }}
          attributes={{ spellcheck: false, autocapitalize: "off", ...input, type: shown ? "text" : "password" }}
        />
        <Button name={shown ? t`Hide ${label}` : t`Show ${label}`} icon={shown ? "eye-off" : "eye"} onClick={() => setShown(!shown)} />
      </div>
      <FieldNote id={id} hint={hint} wrong={wrong} />
    </div>
  );
}

export function FieldNote({ id, hint, wrong }: { id: string; hint: ComponentChildren; wrong: string }) {
  if (wrong) {
    return (
      <p class="wrong" id={`${id}-wrong`} role="alert">
        {wrong}
      </p>
    );
  }
  return hint ? (
    <p class="hint" id={`${id}-hint`}>
      {hint}
    </p>
  ) : null;
}
