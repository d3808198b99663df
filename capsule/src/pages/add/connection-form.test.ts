import assert from "node:assert/strict";
import { test } from "node:test";
import {
  askedJump,
  credentialsBody,
  deploymentBody,
  jumpErrors,
  likeTheLast,
  formErrors,
  EMPTY_CONNECTION,
  EMPTY_JUMP,
  signInBody,
  afterRetry,
  missingCredentialsReason,
  withoutSecrets,
} from "./connection-form";
import type { DeploymentView } from "../../state/types";

test("a retry replaces the typed values, and no value of the first key goes with another key", () => {
  const first = {
    ...EMPTY_CONNECTION,
    host: "web-1",
    username: "ada",
    key: "KEY 1",
    keyName: "id_1",
    passphrase: "one",
    certificate: "of key 1",
    password: "p",
  };
  const there = afterRetry(first, { port: 2222, ...signInBody(first) });
  assert.deepEqual({ ...there, key: there.key.trim() }, { ...first, port: "2222" });
  const other = afterRetry(first, { private_key: "KEY 2\n" });
  assert.deepEqual(other, { ...first, key: "KEY 2\n", keyName: "", passphrase: "", certificate: "" });
  assert.equal(afterRetry(first, { install_python: true }).installPython, true);
  assert.equal(
    afterRetry(
      { ...first, jump: { host: "j", port: "22", username: "", by: "same", password: "", key: "", keyName: "", passphrase: "" } },
      { jump: null },
    ).jump,
    null,
  );
});

test("keys and passwords are not stored when the dialog closes, and an untouched form is not stored at all", () => {
  const jump = { host: "j", port: "22", username: "b", by: "key" as const, password: "s1", key: "s2", keyName: "s3", passphrase: "s4" };
  const typed = {
    ...EMPTY_CONNECTION,
    host: "web-1",
    username: "ada",
    tags: ["eu"],
    keep: false,
    key: "s5",
    keyName: "s6",
    passphrase: "s7",
    password: "s8",
    sudoPassword: "s9",
    certificate: "s0",
    jump,
  };
  const kept = withoutSecrets(typed);
  assert.deepEqual(kept, {
    ...EMPTY_CONNECTION,
    host: "web-1",
    username: "ada",
    tags: ["eu"],
    keep: false,
    jump: { ...EMPTY_JUMP, host: "j", username: "b", by: "key" },
  });
  assert.doesNotMatch(JSON.stringify(kept), /s\d/);
  assert.equal(withoutSecrets({ ...EMPTY_CONNECTION, password: "typed" }), EMPTY_CONNECTION);
});

test("a jump host with its own secret asks for it again, and never falls back to the server's", () => {
  const typed = {
    ...EMPTY_CONNECTION,
    host: "web-1",
    username: "ada",
    by: "password" as const,
    password: "server",
    jump: { ...EMPTY_JUMP, host: "j", by: "password" as const, password: "jump" },
  };
  const again = { ...withoutSecrets(typed), password: "server" };
  assert.equal(again.jump?.by, "password");
  assert.deepEqual(Object.keys(formErrors(again)), ["jumpSecret"]);
});

test("the page says why the hub requires credentials again", () => {
  assert.match(missingCredentialsReason({ give: ["private_key", "password"], dropped: ["password"] }), /a different server/);
  assert.match(missingCredentialsReason({ give: ["private_key", "password"] }), /^No credentials are stored for this server/);
});

test("a jump host whose own credentials the hub asks for gets none of the server", () => {
  const jump = askedJump({ jump: { host: "gate", port: 2222, username: "ops" } });
  assert.deepEqual(askedJump({ jump: "gate" }), null);
  assert.ok(jumpErrors(jump).jumpSecret);
  assert.deepEqual(credentialsBody({ ...EMPTY_CONNECTION, host: "web", jump: jump && { ...jump, password: "its own" } }).jump, {
    host: "gate",
    port: 2222,
    username: "ops",
    password: "its own",
  });
  assert.ok(!("jump" in credentialsBody({ ...EMPTY_CONNECTION, host: "web" })), "null would be a connection without the jump host");
});

test("only the chosen way to sign in is sent, and the hub's key needs no secret", () => {
  const typed = {
    ...EMPTY_CONNECTION,
    host: "web-1",
    username: "ada",
    key: "KEY",
    passphrase: "pass",
    password: "word",
    sudoPassword: "sudo",
  };
  const sent = (by: "key" | "password" | "hub"): string[] =>
    Object.keys(deploymentBody({ ...typed, by })).filter((name) => /key|pass/.test(name));
  assert.deepEqual(sent("key"), ["private_key", "passphrase", "sudo_password"]);
  assert.deepEqual(sent("password"), ["password", "sudo_password"]);
  assert.deepEqual(sent("hub"), ["use_hub_key", "sudo_password"]);
  assert.deepEqual(formErrors({ ...EMPTY_CONNECTION, host: "web-1", username: "ada", by: "hub" }), {});
  assert.deepEqual(Object.keys(formErrors({ ...typed, by: "password", password: "" })), ["password"]);
  assert.equal(signInBody({ ...typed, by: "hub" }).use_hub_key, true);
});

test("the form for the next server has the settings of the last server", () => {
  const last = { port: 2222, username: "ops", tags: ["web"], policy: "readonly", use_hub_key: true } as unknown as DeploymentView;
  assert.deepEqual(likeTheLast(last), { port: "2222", username: "ops", tags: ["web"], policy: "readonly", by: "hub" });
});
