/** Reads from the header of a private key its kind, and whether it needs a passphrase. */

import { t } from "../text";

export interface KeyInfo {
  kind: string;
  encrypted: boolean;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The first bytes of a base64 text. */
function base64Head(text: string, bytes: number): number[] {
  const out: number[] = [];
  let buffer = 0;
  let bits = 0;
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) continue;
    buffer = ((buffer << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push((buffer >> bits) & 0xff);
      if (out.length >= bytes) break;
    }
  }
  return out;
}

const KINDS: Record<string, string> = {
  "ssh-ed25519": "Ed25519",
  "ssh-rsa": "RSA",
  "ssh-dss": "DSA",
  "ecdsa-sha2-nistp256": "ECDSA P-256",
  "ecdsa-sha2-nistp384": "ECDSA P-384",
  "ecdsa-sha2-nistp521": "ECDSA P-521",
  "sk-ssh-ed25519@openssh.com": t`Ed25519, security key`,
};

/** Null if the text is not a private key. */
export function parseKeyHeader(text: string): KeyInfo | null {
  const found = /-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----\s*([\s\S]*)/.exec(text);
  if (!found) return null;
  const label = (found[1] ?? "").trim();
  const body = found[2] ?? "";
  if (label === "OPENSSH") return openssh(body);
  if (label === "ENCRYPTED") return { kind: "PKCS#8", encrypted: true };
  const encrypted = /Proc-Type:\s*4,ENCRYPTED/.test(body);
  return { kind: label === "" ? "PKCS#8" : label, encrypted };
}

function openssh(body: string): KeyInfo | null {
  const bytes = base64Head(body.split("-----END")[0] ?? "", 512);
  const magic = "openssh-key-v1\0";
  if (String.fromCharCode(...bytes.slice(0, magic.length)) !== magic) return null;
  let at = magic.length;
  const field = (): number[] => {
    const length = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    const value = bytes.slice(at + 4, at + 4 + Math.max(0, length));
    at += 4 + Math.max(0, length);
    return value;
  };
  const word = (): string => String.fromCharCode(...field());
  const cipher = word();
  word(); // key derivation
  field(); // its options
  at += 4; // number of keys
  at += 4; // length of the public key, whose first field is the kind
  const kind = word();
  return { kind: (Object.hasOwn(KINDS, kind) ? KINDS[kind] : kind) || "OpenSSH", encrypted: cipher !== "none" };
}
