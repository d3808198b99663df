import assert from "node:assert/strict";
import { test } from "node:test";
import { ineligibleReason, ineligibleReasons } from "./eligibility";

const node = (state: string, mode = "managed", verbs: string[] = []) => ({ state, policy: { mode, verbs } });

test("a policy is reported before an offline state, and an unknown policy excludes nothing", () => {
  assert.equal(ineligibleReason(node("online"), "upgrade"), "");
  assert.equal(ineligibleReason({ state: "online", policy: null }, "upgrade"), "");
  assert.equal(ineligibleReason(node("offline"), "upgrade"), "not connected");
  assert.equal(ineligibleReason(node("pending"), "upgrade"), "never connected");
  assert.equal(ineligibleReason(node("offline", "monitor"), "upgrade"), "monitoring only, by its own policy");
  assert.equal(ineligibleReason(node("online", "invalid"), "upgrade"), "its policy file is not valid");
  assert.equal(ineligibleReason(node("online", "readonly"), "upgrade"), "not allowed by its own policy");
  assert.equal(ineligibleReason(node("online", "managed", ["check"]), "upgrade"), "not allowed by its own policy");
});

test("reasons are counted, the most common first", () => {
  assert.deepEqual(ineligibleReasons([node("offline"), node("online", "monitor"), node("offline"), node("online")], "upgrade"), [
    ["not connected", 2],
    ["monitoring only, by its own policy", 1],
  ]);
});
