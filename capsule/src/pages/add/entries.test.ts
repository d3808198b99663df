import assert from "node:assert/strict";
import { test } from "node:test";
import { faults, NO_ENTRIES, NO_JUMP, signIn, tried, whyAskedAgain, withoutSecrets } from "./entries";

test("what another try gave stands in the place of what was typed, and nothing of the first key goes with another one", () => {
  const first = { ...NO_ENTRIES, host: "web-1", username: "ada", key: "KEY 1", keyName: "id_1", passphrase: "one", certificate: "of key 1", password: "p" };
  const there = tried(first, { port: 2222, ...signIn(first) });
  assert.deepEqual({ ...there, key: there.key.trim() }, { ...first, port: "2222" });
  const other = tried(first, { private_key: "KEY 2\n" });
  assert.deepEqual(other, { ...first, key: "KEY 2\n", keyName: "", passphrase: "", certificate: "" });
  assert.equal(tried(first, { install_python: true }).installPython, true);
  assert.equal(tried({ ...first, jump: { host: "j", port: "22", username: "", by: "same", password: "", key: "", keyName: "", passphrase: "" } }, { jump: null }).jump, null);
});

test("no key and no password outlives the dialog, and an untouched form leaves nothing", () => {
  const jump = { host: "j", port: "22", username: "b", by: "key" as const, password: "s1", key: "s2", keyName: "s3", passphrase: "s4" };
  const typed = { ...NO_ENTRIES, host: "web-1", username: "ada", tags: ["eu"], keep: false, key: "s5", keyName: "s6", passphrase: "s7", password: "s8", sudoPassword: "s9", certificate: "s0", jump };
  const kept = withoutSecrets(typed);
  assert.deepEqual(kept, { ...NO_ENTRIES, host: "web-1", username: "ada", tags: ["eu"], keep: false, jump: { ...NO_JUMP, host: "j", username: "b", by: "key" } });
  assert.doesNotMatch(JSON.stringify(kept), /s\d/);
  assert.equal(withoutSecrets({ ...NO_ENTRIES, password: "typed" }), NO_ENTRIES);
});

test("a jump host with a secret of its own asks for it again, and never falls back to what opens the server", () => {
  const typed = { ...NO_ENTRIES, host: "web-1", username: "ada", password: "server", jump: { ...NO_JUMP, host: "j", by: "password" as const, password: "jump" } };
  const again = { ...withoutSecrets(typed), password: "server" };
  assert.equal(again.jump?.by, "password");
  assert.deepEqual(Object.keys(faults(again)), ["jumpSecret"]);
});

test("why the hub asks again is said in the page's own words", () => {
  assert.match(whyAskedAgain({ give: ["private_key", "password"], dropped: ["password"] }), /a different server/);
  assert.match(whyAskedAgain({ give: ["private_key", "password"] }), /^No credentials are stored for this server/);
});
