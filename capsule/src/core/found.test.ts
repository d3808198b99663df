import assert from "node:assert/strict";
import { test } from "node:test";
import { best, fit } from "./found";

test("every word must stand somewhere, and beginnings come before middles", () => {
  assert.equal(fit("web up", "Upgrade web-01"), 1);
  assert.equal(fit("web x", "Upgrade web-01"), -1);
  assert.equal(fit("", "anything"), 0);
  assert.deepEqual(best("eb", ["web", "ebb", "x-eb", "none"], (one) => one, 9), ["ebb", "x-eb", "web"]);
  assert.deepEqual(best("", ["b", "a", "c"], (one) => one, 2), ["b", "a"]);
});
