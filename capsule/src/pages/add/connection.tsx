/** The fields of a connection: host, user, key, passwords. The same for adding, correcting and removing. */

import type { VNode } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { readKeyHead } from "../../core/keys";
import { Button } from "../../ui/button";
import { SecretField, SelectField, Switch, TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { NO_JUMP, type Entries, type JumpEntries, type Wrong } from "./entries";

export type Change = (part: Partial<Entries>) => void;

const LARGEST_KEY = 16 * 1024;

export function ServerFields({ entries, wrong, onChange }: { entries: Entries; wrong: Wrong; onChange: Change }): VNode {
  return (
    <>
      <TextField class="host" label="Host name or IP" value={entries.host} onText={(host) => onChange({ host })} wrong={wrong.host ?? ""} input={{ autocomplete: "off", autocapitalize: "off", spellcheck: false, autofocus: true, maxLength: 253 }} />
      <TextField class="port" label="Port" value={entries.port} onText={(port) => onChange({ port })} wrong={wrong.port ?? ""} input={{ inputmode: "numeric", autocomplete: "off", maxLength: 5 }} />
    </>
  );
}

export function KeyField({ value, name, wrong = "", label = "Private key", onKey }: { value: string; name: string; wrong?: string; label?: string; onKey: (key: string, name: string) => void }): VNode {
  const id = useId();
  const [pasting, setPasting] = useState(false);
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState("");
  const file = useRef<HTMLInputElement>(null);
  const facts = value ? readKeyHead(value) : null;
  const take = async (chosen: File | undefined): Promise<void> => {
    setRefused("");
    if (!chosen) return;
    if (chosen.size > LARGEST_KEY) {
      setRefused("This file is larger than 16 KiB: a private key is smaller.");
      return;
    }
    onKey(await chosen.text(), chosen.name);
    setPasting(false);
  };
  const said = refused || wrong || (value && !facts ? (/^ssh-|^ecdsa-/.test(value.trim()) ? "This is a public key: the private one is needed, the file of the same name without .pub." : "This does not look like a private key.") : "");
  return (
    <div class="field">
      <span class="label" id={id}>
        {label}
      </span>
      <div
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
              <b class="medium">{name || "Pasted key"}</b>{" "}
              {facts && (
                <span class="pill ok small">
                  <Glyph kind="done" label="" />
                  {facts.kind}
                  {facts.encrypted ? ", encrypted" : ""}
                </span>
              )}
            </div>
            <Button slim onClick={() => setPasting(true)}>
              Paste instead
            </Button>
            <Button slim kind="quiet" name="Remove key" icon="x" onClick={() => onKey("", "")} />
          </>
        ) : (
          <>
            <span class="grow t3">{pasting ? "Paste the whole file, from the BEGIN line to the END line" : "Drop the key file here"}</span>
            <Button slim onClick={() => file.current?.click()}>
              Choose file
            </Button>
            {!pasting && (
              <Button slim onClick={() => setPasting(true)}>
                Paste key
              </Button>
            )}
            {pasting && (
              <textarea
                class="input"
                rows={4}
                aria-label={`${label} text`}
                spellcheck={false}
                autocomplete="off"
                placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
                value={value}
                maxLength={LARGEST_KEY}
                onInput={(event) => {
                  const text = event.currentTarget.value;
                  onKey(text, "");
                  // Not when the focus leaves: the form would shrink between the press and the release of a button below.
                  if (readKeyHead(text) && /-----END [A-Z ]+-----/.test(text)) setPasting(false);
                }}
              />
            )}
          </>
        )}
        <input
          ref={file}
          type="file"
          class="hidden-text"
          aria-label={`${label} file`}
          tabIndex={-1}
          onChange={(event) => {
            void take(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </div>
      {said && (
        <p class="wrong" role="alert">
          {said}
        </p>
      )}
    </div>
  );
}

export function SignInFields({ entries, wrong, onChange }: { entries: Entries; wrong: Wrong; onChange: Change }): VNode {
  const [withPassword, setWithPassword] = useState(entries.password !== "");
  const [certified, setCertified] = useState(entries.certificate !== "");
  const encrypted = readKeyHead(entries.key)?.encrypted ?? false;
  return (
    <>
      <KeyField value={entries.key} name={entries.keyName} wrong={wrong.key ?? ""} onKey={(key, keyName) => onChange({ key, keyName, ...(readKeyHead(key)?.encrypted ? {} : { passphrase: "" }) })} />
      {entries.key && !certified && (
        <div>
          <Button slim kind="quiet" onClick={() => setCertified(true)}>
            Add a certificate for this key
          </Button>
        </div>
      )}
      {entries.key && certified && <CertificateField value={entries.certificate} wrong={wrong.certificate ?? ""} onText={(certificate) => onChange({ certificate })} />}
      <div class="halves">
        {encrypted && <SecretField label="Key passphrase" value={entries.passphrase} onText={(passphrase) => onChange({ passphrase })} input={{ autocomplete: "off" }} />}
        {withPassword && !encrypted && <SecretField label="SSH password" value={entries.password} onText={(password) => onChange({ password })} input={{ autocomplete: "off" }} />}
        <SecretField label="sudo password" value={entries.sudoPassword} onText={(sudoPassword) => onChange({ sudoPassword })} input={{ autocomplete: "off", placeholder: "only if sudo asks for one" }} />
      </div>
      {!withPassword && !entries.key && (
        <div>
          <Button slim kind="quiet" onClick={() => setWithPassword(true)}>
            Sign in with a password instead
          </Button>
        </div>
      )}
    </>
  );
}

/** The line that an authority has signed for the key (`id_ed25519-cert.pub`). No secret. */
function CertificateField({ value, wrong, onText }: { value: string; wrong: string; onText: (text: string) => void }): VNode {
  const id = useId();
  const said = wrong || (value.trim() && !/^[a-z0-9@.-]+-cert-v\d\d@openssh\.com \S+/.test(value.trim()) ? "This is not an OpenSSH certificate: it begins with ssh-ed25519-cert-v01@openssh.com or the like." : "");
  return (
    <div class="field">
      <label for={id}>User certificate</label>
      <textarea
        id={id}
        class="input mono"
        rows={3}
        spellcheck={false}
        autocomplete="off"
        placeholder="ssh-ed25519-cert-v01@openssh.com AAAA…"
        value={value}
        maxLength={LARGEST_KEY}
        aria-invalid={said ? true : undefined}
        aria-describedby={said ? `${id}-wrong` : `${id}-hint`}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      {said ? (
        <p class="wrong" id={`${id}-wrong`} role="alert">
          {said}
        </p>
      ) : (
        <p class="hint" id={`${id}-hint`}>
          The whole line of the file whose name ends in -cert.pub.
        </p>
      )}
    </div>
  );
}

const OPENED_BY: readonly [JumpEntries["by"], string][] = [["same", "What opens the server"], ["password", "A password of its own"], ["key", "A key of its own"]]; // prettier-ignore

/** The server on the way, folded away until it is wanted. */
export function JumpFields({ jump, wrong, hint, onJump }: { jump: JumpEntries | null; wrong: Wrong; hint: string; onJump: (jump: JumpEntries | null) => void }): VNode {
  const change = (part: Partial<JumpEntries>): void => onJump({ ...(jump ?? NO_JUMP), ...part });
  const plain = { autocomplete: "off", autocapitalize: "off", spellcheck: false };
  return (
    <div class="jump">
      <Switch label="Through a jump host" hint={hint} checked={jump !== null} onCheck={(on) => onJump(on ? NO_JUMP : null)} />
      {jump && (
        <fieldset class="deploy-form inner">
          <legend class="hidden-text">Jump host</legend>
          <TextField class="host" label="Jump host" value={jump.host} onText={(host) => change({ host })} wrong={wrong.jumpHost ?? ""} input={{ ...plain, maxLength: 253 }} />
          <TextField class="port" label="Its port" value={jump.port} onText={(port) => change({ port })} wrong={wrong.jumpPort ?? ""} input={{ inputmode: "numeric", autocomplete: "off", maxLength: 5 }} />
          <div class="halves">
            <TextField label="User there" value={jump.username} onText={(username) => change({ username })} wrong={wrong.jumpUser ?? ""} input={{ ...plain, maxLength: 64, placeholder: "the same as on the server" }} />
            <SelectField label="Opened by" value={jump.by} onPick={(by) => change({ by: by as JumpEntries["by"], password: "", key: "", keyName: "", passphrase: "" })} options={OPENED_BY} />
          </div>
          {jump.by === "password" && <SecretField label="Password on the jump host" value={jump.password} onText={(password) => change({ password })} wrong={wrong.jumpSecret ?? ""} input={{ autocomplete: "off" }} />}
          {jump.by === "key" && (
            <>
              <KeyField label="Private key for the jump host" value={jump.key} name={jump.keyName} wrong={wrong.jumpSecret ?? ""} onKey={(key, keyName) => change({ key, keyName, ...(readKeyHead(key)?.encrypted ? {} : { passphrase: "" }) })} />
              {readKeyHead(jump.key)?.encrypted && <SecretField label="Passphrase of that key" value={jump.passphrase} onText={(passphrase) => change({ passphrase })} input={{ autocomplete: "off" }} />}
            </>
          )}
        </fieldset>
      )}
    </div>
  );
}
