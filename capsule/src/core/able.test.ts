import assert from "node:assert/strict";
import { test } from "node:test";
import { hindrance, hindrances } from "./able";

const node = (state: string, mode = "managed", verbs: string[] = []) => ({ state, policy: { mode, verbs } });

test("a node's own policy counts before its absence, and what is not known hinders nothing", () => {
  assert.equal(hindrance(node("online"), "upgrade"), "");
  assert.equal(hindrance({ state: "online", policy: null }, "upgrade"), "");
  assert.equal(hindrance(node("offline"), "upgrade"), "not connected");
  assert.equal(hindrance(node("pending"), "upgrade"), "never connected");
  assert.equal(hindrance(node("offline", "monitor"), "upgrade"), "monitoring only, by its own policy");
  assert.equal(hindrance(node("online", "invalid"), "upgrade"), "its policy file is not valid");
  assert.equal(hindrance(node("online", "readonly"), "upgrade"), "not allowed by its own policy");
  assert.equal(hindrance(node("online", "managed", ["check"]), "upgrade"), "not allowed by its own policy");
});

test("reasons are counted, the most common first", () => {
  assert.deepEqual(hindrances([node("offline"), node("online", "monitor"), node("offline"), node("online")], "upgrade"), [["not connected", 2], ["monitoring only, by its own policy", 1]]);
});
