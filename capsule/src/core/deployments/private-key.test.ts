import assert from "node:assert/strict";
import { test } from "node:test";
import { parseKeyHeader } from "./private-key";

const field = (text: string): Buffer => {
  const body = Buffer.from(text, "latin1");
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
};
const openssh = (cipher: string, kind: string): string => {
  const one = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    field(cipher),
    field(cipher === "none" ? "none" : "bcrypt"),
    field(cipher === "none" ? "" : "0123456789abcdef\0\0\0\x10"),
    one,
    field(field(kind).toString("latin1")),
  ]);
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString("base64").replace(/(.{70})/g, "$1\n")}\n-----END OPENSSH PRIVATE KEY-----\n`;
};

test("an OpenSSH key has its kind, and whether it is encrypted", () => {
  assert.deepEqual(parseKeyHeader(openssh("none", "ssh-ed25519")), { kind: "Ed25519", encrypted: false });
  assert.deepEqual(parseKeyHeader(openssh("aes256-ctr", "ssh-rsa")), { kind: "RSA", encrypted: true });
});

test("older kinds of private keys are recognised by their labels", () => {
  assert.deepEqual(parseKeyHeader("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"), { kind: "RSA", encrypted: true });
  assert.deepEqual(parseKeyHeader("-----BEGIN ENCRYPTED PRIVATE KEY-----\nabc"), { kind: "PKCS#8", encrypted: true });
  assert.deepEqual(parseKeyHeader("-----BEGIN PRIVATE KEY-----\nabc"), { kind: "PKCS#8", encrypted: false });
});

test("any other text is no private key", () => {
  for (const text of ["", "ssh-ed25519 AAAA me@here", "-----BEGIN OPENSSH PRIVATE KEY-----\nnothing of the kind"])
    assert.equal(parseKeyHeader(text), null);
});
