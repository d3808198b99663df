/** The fields of a connection (host, user, key, passwords), which several dialogs share. */

import type { RefObject } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { parseKeyHeader } from "../../core/deployments/private-key";
import { addressText } from "../../core/deployments/server-list";
import { t } from "../../core/text";
import { Button, Glyph, Icon, SecretField, Segmented, TextField } from "../../ui";
import { SelectField, Switch } from "../../ui/form";
import { readText, UNREADABLE } from "./chosen-file";
import { EMPTY_JUMP, type ConnectionForm, type JumpForm, type FormErrors, type SignInWay } from "./connection-form";
import { HubKeyField } from "./hub-key-field";

export type Change = (part: Partial<ConnectionForm>) => void;

const LARGEST_KEY = 16 * 1024;

/**
 * Focuses the first field with an error. Call `judged` when the fields are checked: errors that appear later do not move the focus.
 */
export function useFocusFirstError(wrong: FormErrors): { form: RefObject<HTMLFormElement | null>; judged: () => void } {
  const form = useRef<HTMLFormElement>(null);
  const fresh = useRef(false);
  useLayoutEffect(() => {
    if (fresh.current) form.current?.querySelector<HTMLElement>(".field:has(.wrong) :is(input, textarea, button)")?.focus();
    fresh.current = false;
  }, [wrong]);
  return { form, judged: () => void (fresh.current = true) };
}

/** The fields for host and port. `known`: the hub knows an earlier connection. If the port is empty, it uses the port of that connection. */
export function ServerFields({
  entries,
  wrong,
  known = false,
  onChange,
}: {
  entries: ConnectionForm;
  wrong: FormErrors;
  known?: boolean;
  onChange: Change;
}) {
  return (
    <>
      <TextField
        class="host"
        label={t`Host name or IP`}
        value={entries.host}
        onText={(host) => onChange({ host })}
        wrong={wrong.host ?? ""}
        code
        input={{ autofocus: true, maxLength: 253 }}
      />
      <TextField
        class="port"
        label={t`Port`}
        value={entries.port}
        onText={(port) => onChange({ port })}
        wrong={wrong.port ?? ""}
        input={{ inputmode: "numeric", maxLength: 5, ...(known ? { placeholder: t`as before` } : {}) }}
      />
    </>
  );
}

export function KeyField({
  value,
  name,
  wrong = "",
  label = t`Private key`,
  onKey,
}: {
  value: string;
  name: string;
  wrong?: string;
  label?: string;
  onKey: (key: string, name: string) => void;
}) {
  const id = useId();
  const [pasting, setPasting] = useState(false);
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const pasted = useRef(false);
  useLayoutEffect(() => {
    // The control that had the focus was replaced, so its replacement gets the focus.
    if (pasting !== pasted.current) box.current?.querySelector<HTMLElement>(pasting ? "textarea" : "button")?.focus();
    pasted.current = pasting;
  }, [pasting]);
  // Without this the browser would open a key that is dropped next to the field, and show it in place of the page.
  useEffect(() => {
    const stay = (event: DragEvent): void => event.preventDefault();
    for (const kind of ["dragover", "drop"] as const) addEventListener(kind, stay);
    return () => {
      for (const kind of ["dragover", "drop"] as const) removeEventListener(kind, stay);
    };
  }, []);
  const parsed = value ? parseKeyHeader(value) : null;
  const give = (key: string, from: string): void => {
    setRefused("");
    onKey(key, from);
  };
  const take = async (chosen: File | undefined): Promise<void> => {
    setRefused("");
    if (!chosen) return;
    if (chosen.size > LARGEST_KEY) {
      setRefused(t`This file is larger than 16 KiB: a private key is smaller.`);
      return;
    }
    const text = await readText(chosen);
    if (text === null) return setRefused(UNREADABLE);
    give(text, chosen.name);
    setPasting(false);
  };
  const wrongText =
    refused ||
    wrong ||
    (value && !parsed
      ? /^(?:sk-)?(?:ssh|ecdsa)-/.test(value.trim())
        ? t`This is a public key: the private one is needed, the file of the same name without .pub.`
        : t`This does not look like a private key.`
      : "");
  return (
    <div class="field">
      <span class="label" id={id}>
        {label}
      </span>
      <div
        ref={box}
        class={`key-drop ${over ? "over" : ""}`}
        role="group"
        aria-labelledby={id}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(event.dataTransfer?.files[0]);
        }}
      >
        <Icon name="file-key" size="large" />
        {value && !pasting ? (
          <>
            <div class="grow">
              <b class="medium">{name || t`Pasted key`}</b>{" "}
              {parsed && (
                <span class="pill ok small">
                  <Glyph kind="done" label="" />
                  {parsed.kind}
                  {parsed.encrypted ? `, ${t`encrypted`}` : ""}
                </span>
              )}
            </div>
            <Button slim onClick={() => setPasting(true)}>
              {t`Paste instead`}
            </Button>
            <Button slim kind="quiet" name={t`Remove key`} icon="x" onClick={() => give("", "")} />
          </>
        ) : (
          <>
            <span class="grow t3">
              {pasting ? t`Paste the whole file, from the BEGIN line to the END line` : t`Drop the key file here`}
            </span>
            <Button slim onClick={() => file.current?.click()}>
              {t`Choose file`}
            </Button>
            {!pasting && (
              <Button slim onClick={() => setPasting(true)}>
                {t`Paste key`}
              </Button>
            )}
            {pasting && (
              <textarea
                class="input"
                rows={4}
                aria-label={t`${label} text`}
                spellcheck={false}
                autocomplete="off"
                placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
                value={value}
                maxLength={LARGEST_KEY}
                onInput={(event) => {
                  const text = event.currentTarget.value;
                  give(text, "");
                  // The field closes here. If it closed on blur, a button below it would move while the user presses it.
                  if (parseKeyHeader(text) && /-----END [A-Z ]+-----/.test(text)) setPasting(false);
                }}
              />
            )}
          </>
        )}
        <input
          ref={file}
          type="file"
          class="hidden-text"
          aria-label={t`${label} file`}
          tabIndex={-1}
          onChange={(event) => {
            void take(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </div>
      {wrongText && (
        <p class="wrong" role="alert">
          {wrongText}
        </p>
      )}
    </div>
  );
}

const WAYS: readonly { key: SignInWay; label: string }[] = [
  { key: "key", label: t`Key` },
  { key: "password", label: t`Password` },
  { key: "hub", label: t`Stardust’s key` },
];

export function SignInFields({ entries, wrong, onChange }: { entries: ConnectionForm; wrong: FormErrors; onChange: Change }) {
  const { by } = entries;
  return (
    <>
      <div class="field">
        <span class="label">{t`Credentials`}</span>
        <Segmented label={t`Credentials`} value={by} options={WAYS} onPick={(way) => onChange({ by: way })} />
      </div>
      {by === "key" && <KeyFields entries={entries} wrong={wrong} onChange={onChange} />}
      {by === "hub" && <HubKeyField />}
      <div class="halves">
        {by === "key" && parseKeyHeader(entries.key)?.encrypted && (
          <SecretField
            label={t`Key passphrase`}
            value={entries.passphrase}
            wrong={wrong.passphrase ?? ""}
            onText={(passphrase) => onChange({ passphrase })}
            input={{ autocomplete: "off" }}
          />
        )}
        {by === "password" && (
          <SecretField
            label={t`SSH password`}
            value={entries.password}
            wrong={wrong.password ?? ""}
            onText={(password) => onChange({ password })}
            input={{ autocomplete: "off" }}
          />
        )}
        <SecretField
          label={t`sudo password`}
          value={entries.sudoPassword}
          wrong={wrong.sudoPassword ?? ""}
          onText={(sudoPassword) => onChange({ sudoPassword })}
          input={{ autocomplete: "off", placeholder: t`only if sudo asks for one` }}
        />
      </div>
    </>
  );
}

function KeyFields({ entries, wrong, onChange }: { entries: ConnectionForm; wrong: FormErrors; onChange: Change }) {
  const [certified, setCertified] = useState(entries.certificate !== "");
  return (
    <>
      <KeyField
        value={entries.key}
        name={entries.keyName}
        wrong={wrong.key ?? ""}
        onKey={(key, keyName) => onChange({ key, keyName, ...(parseKeyHeader(key)?.encrypted ? {} : { passphrase: "" }) })}
      />
      {entries.key && !certified && (
        <div>
          <Button slim kind="quiet" onClick={() => setCertified(true)}>
            {t`Add a certificate for this key`}
          </Button>
        </div>
      )}
      {entries.key && certified && (
        <CertificateField value={entries.certificate} wrong={wrong.certificate ?? ""} onText={(certificate) => onChange({ certificate })} />
      )}
    </>
  );
}

/** A field for the certificate that an authority has signed for the key (`id_ed25519-cert.pub`). It is not secret. */
function CertificateField({ value, wrong, onText }: { value: string; wrong: string; onText: (text: string) => void }) {
  const id = useId();
  const wrongText =
    wrong ||
    (value.trim() && !/^[a-z0-9@.-]+-cert-v\d\d@openssh\.com \S+/.test(value.trim())
      ? t`This is not an OpenSSH certificate. One begins with ssh-ed25519-cert-v01@openssh.com or similar.`
      : "");
  return (
    <div class="field">
      <label for={id}>{t`User certificate`}</label>
      <textarea
        id={id}
        class="input mono"
        rows={3}
        spellcheck={false}
        autocomplete="off"
        placeholder="ssh-ed25519-cert-v01@openssh.com AAAA…"
        value={value}
        maxLength={LARGEST_KEY}
        aria-invalid={wrongText ? true : undefined}
        aria-describedby={wrongText ? `${id}-wrong` : `${id}-hint`}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      {wrongText ? (
        <p class="wrong" id={`${id}-wrong`} role="alert">
          {wrongText}
        </p>
      ) : (
        <p class="hint" id={`${id}-hint`}>
          {t`The whole line from the file whose name ends in -cert.pub.`}
        </p>
      )}
    </div>
  );
}

const PLAIN = { autocomplete: "off", autocapitalize: "off", spellcheck: false };

const JUMP_WAYS: readonly [JumpForm["by"], string][] = [
  ["same", t`Same as for the server`],
  ["password", t`Its own password`],
  ["key", t`Its own key`],
];

/** The fields of the jump host, behind a switch. */
export function JumpFields({
  jump,
  wrong,
  hint,
  onJump,
}: {
  jump: JumpForm | null;
  wrong: FormErrors;
  hint: string;
  onJump: (jump: JumpForm | null) => void;
}) {
  const last = useRef(EMPTY_JUMP); // keeps the input while the switch is off
  if (jump) last.current = jump;
  const change = (part: Partial<JumpForm>): void => onJump({ ...(jump ?? EMPTY_JUMP), ...part });
  return (
    <div class="jump">
      <Switch label={t`Through a jump host`} hint={hint} checked={jump !== null} onCheck={(on) => onJump(on ? last.current : null)} />
      {jump && (
        <fieldset class="deploy-form inner">
          <legend class="hidden-text">{t`Jump host`}</legend>
          <TextField
            class="host"
            label={t`Jump host`}
            value={jump.host}
            onText={(host) => change({ host })}
            wrong={wrong.jumpHost ?? ""}
            input={{ ...PLAIN, maxLength: 253 }}
          />
          <TextField
            class="port"
            label={t`Its port`}
            value={jump.port}
            onText={(port) => change({ port })}
            wrong={wrong.jumpPort ?? ""}
            input={{ inputmode: "numeric", maxLength: 5 }}
          />
          <JumpSignIn jump={jump} wrong={wrong} ways={JUMP_WAYS} onJump={onJump} />
        </fieldset>
      )}
    </div>
  );
}

/** The credentials of the jump host of an earlier deployment, which the hub asks for by `deployment.jump_credentials_required`. */
export function JumpSignInAgain({ jump, wrong, onJump }: { jump: JumpForm; wrong: FormErrors; onJump: (jump: JumpForm) => void }) {
  return (
    <fieldset class="deploy-form inner">
      <legend class="label">{t`Jump host ${addressText({ host: jump.host, port: Number(jump.port) })}`}</legend>
      <JumpSignIn jump={jump} wrong={wrong} ways={JUMP_WAYS.filter(([way]) => way !== "same")} onJump={onJump} />
    </fieldset>
  );
}

function JumpSignIn({
  jump,
  wrong,
  ways,
  onJump,
}: {
  jump: JumpForm;
  wrong: FormErrors;
  ways: readonly [JumpForm["by"], string][];
  onJump: (jump: JumpForm) => void;
}) {
  const change = (part: Partial<JumpForm>): void => onJump({ ...jump, ...part });
  return (
    <>
      <div class="halves">
        <TextField
          label={t`User on the jump host`}
          value={jump.username}
          onText={(username) => change({ username })}
          wrong={wrong.jumpUser ?? ""}
          input={{ ...PLAIN, maxLength: 64, placeholder: t`the same as on the server` }}
        />
        <SelectField
          label={t`Sign in with`}
          value={jump.by}
          onPick={(by) => change({ by: by as JumpForm["by"], password: "", key: "", keyName: "", passphrase: "" })}
          options={ways}
        />
      </div>
      {jump.by === "password" && (
        <SecretField
          label={t`Jump host password`}
          value={jump.password}
          onText={(password) => change({ password })}
          wrong={wrong.jumpSecret ?? ""}
          input={{ autocomplete: "off" }}
        />
      )}
      {jump.by === "key" && (
        <>
          <KeyField
            label={t`Private key for the jump host`}
            value={jump.key}
            name={jump.keyName}
            wrong={wrong.jumpSecret ?? ""}
            onKey={(key, keyName) => change({ key, keyName, ...(parseKeyHeader(key)?.encrypted ? {} : { passphrase: "" }) })}
          />
          {parseKeyHeader(jump.key)?.encrypted && (
            <SecretField
              label={t`Passphrase for that key`}
              value={jump.passphrase}
              onText={(passphrase) => change({ passphrase })}
              input={{ autocomplete: "off" }}
            />
          )}
        </>
      )}
    </>
  );
}

interface OneFieldProps {
  value: string;
  hint?: string;
  wrong?: string | undefined;
  onText: (text: string) => void;
}

export function UserField({ value, hint = "", wrong = "", onText }: OneFieldProps) {
  return <TextField label={t`SSH user`} hint={hint} value={value} onText={onText} wrong={wrong} code input={{ maxLength: 64 }} />;
}

export function ProxyField({ value, wrong = "", onText }: OneFieldProps) {
  return (
    <TextField
      label={t`Proxy`}
      hint={t`For servers that reach Ground Control only through an HTTP proxy.`}
      value={value}
      onText={onText}
      wrong={wrong}
      code
      input={{ placeholder: "http://proxy.example:3128", maxLength: 300 }}
    />
  );
}
