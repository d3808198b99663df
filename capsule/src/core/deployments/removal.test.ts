import assert from "node:assert/strict";
import { test } from "node:test";
import { removalSince, removalMethod, removalVerified, credentialsReason } from "./removal";

const node = { state: "online", credentials_kept: false, policy: { mode: "managed", verbs: ["refresh", "uninstall"] } };

test("a node is removed with stored credentials, else through its connection, else the page asks for credentials", () => {
  assert.equal(removalMethod({ ...node, credentials_kept: true, state: "offline" }), "ssh");
  assert.equal(removalMethod(node), "session");
  assert.equal(removalMethod({ ...node, policy: null }), "session"); // the node decides
  assert.equal(removalMethod({ ...node, state: "offline" }), "ask");
  assert.equal(removalMethod({ ...node, policy: { mode: "managed", verbs: ["refresh"] } }), "ask");
  assert.equal(removalMethod({ ...node, policy: { mode: "monitor", verbs: [] } }), "ask");
});

test("the request for credentials has a reason", () => {
  assert.match(credentialsReason({ ...node, state: "offline" }), /not connected/);
  assert.match(credentialsReason({ ...node, policy: { mode: "readonly", verbs: [] } }), /mode = readonly/);
  assert.match(
    credentialsReason({ ...node, policy: { mode: "managed", verbs: ["refresh"] } }),
    /does not allow “Remove agent” \(verb uninstall\)/,
  );
});

test("a node that was only forgotten was not removed from its server", () => {
  const step = (name: string, state: string): { name: string; state: string } => ({ name, state });
  assert.equal(removalVerified([step("uninstall", "done"), step("verify", "done"), step("wipe", "done")]), true);
  assert.equal(removalVerified([step("uninstall", "skipped"), step("verify", "skipped"), step("wipe", "done")]), false);
});

test("a removal request matches the removal that runs, or ended after it was sent", () => {
  const one = (id: string, ended_at: number | null, node_id: string | null = "n1", kind = "remove") => ({ id, kind, node_id, ended_at });
  const of = (...told: ReturnType<typeof one>[]): string | undefined => removalSince(told, "n1", 100)?.id;
  assert.equal(of(one("running", null), one("before", 90)), "running");
  assert.equal(
    of(one("other node", null, "n2"), one("added", null, "n1", "install"), one("failed since", 101), one("before", 90)),
    "failed since",
  );
  assert.equal(of(one("before", 90), one("gone", null, null)), undefined);
});
