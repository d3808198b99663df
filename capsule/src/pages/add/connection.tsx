/** The fields of a connection: host, user, key, passwords. The same for adding, correcting and removing. */

import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { readKeyHead } from "../../core/keys";
import { Button } from "../../ui/button";
import { SecretField, TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import type { Entries } from "./entries";

export type Change = (part: Partial<Entries>) => void;

const LARGEST_KEY = 16 * 1024;

export function ServerFields({ entries, wrong, onChange }: { entries: Entries; wrong: Partial<Record<keyof Entries, string>>; onChange: Change }): VNode {
  return (
    <>
      <TextField class="host" label="Host name or IP" value={entries.host} onText={(host) => onChange({ host })} wrong={wrong.host ?? ""} input={{ autocomplete: "off", autocapitalize: "off", spellcheck: false, autofocus: true, maxLength: 253 }} />
      <TextField class="port" label="Port" value={entries.port} onText={(port) => onChange({ port })} wrong={wrong.port ?? ""} input={{ inputmode: "numeric", autocomplete: "off", maxLength: 5 }} />
    </>
  );
}

export function KeyField({ value, name, wrong = "", onKey }: { value: string; name: string; wrong?: string; onKey: (key: string, name: string) => void }): VNode {
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
      <span class="label" id="key-label">
        Private key
      </span>
      <div
        class={`key-drop ${over ? "over" : ""}`}
        role="group"
        aria-labelledby="key-label"
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
                aria-label="Private key text"
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
          aria-label="Private key file"
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

export function SignInFields({ entries, wrong, onChange }: { entries: Entries; wrong: Partial<Record<keyof Entries, string>>; onChange: Change }): VNode {
  const [withPassword, setWithPassword] = useState(entries.password !== "");
  const encrypted = readKeyHead(entries.key)?.encrypted ?? false;
  return (
    <>
      <KeyField value={entries.key} name={entries.keyName} wrong={wrong.key ?? ""} onKey={(key, keyName) => onChange({ key, keyName, ...(readKeyHead(key)?.encrypted ? {} : { passphrase: "" }) })} />
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
