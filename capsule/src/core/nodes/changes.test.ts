import assert from "node:assert/strict";
import { test } from "node:test";
import { changeWords } from "./changes";

test("a change says what it was before and after, and an event its type", () => {
  assert.equal(changeWords({ kind: "package", object: "nginx", from: "1.2", to: "1.3" }), "nginx 1.2 → 1.3");
  assert.equal(changeWords({ kind: "package", object: "nginx", from: "", to: "1.3" }), "nginx 1.3 installed");
  assert.equal(changeWords({ kind: "package", object: "nginx", from: "1.2", to: "" }), "nginx 1.2 removed");
  assert.equal(changeWords({ kind: "package", object: "nginx", from: "", to: "packages_changed" }), "nginx: changed");
  assert.equal(changeWords({ kind: "job", object: "action-run tidy-up", from: "", to: "job_succeeded" }), "Run action tidy-up: succeeded");
  assert.equal(changeWords({ kind: "unit", object: "shop.service", from: "", to: "unit_failed" }), "shop.service: failed");
  assert.equal(changeWords({ kind: "boot", object: "", from: "", to: "node_rebooted" }), "rebooted");
});
