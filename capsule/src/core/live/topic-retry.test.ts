import assert from "node:assert/strict";
import { test } from "node:test";
import { isFinalRefusal, TopicRetry, refusalStatus } from "./topic-retry";

test("only a missing topic or a missing right is a final refusal", () => {
  for (const [code, status] of [
    ["not_found", 404],
    ["auth.forbidden", 403],
  ] as const) {
    assert.ok(isFinalRefusal(code));
    assert.equal(refusalStatus(code), status);
  }
  for (const code of ["unavailable", "internal", "store.busy", "request.invalid", "of_a_later_hub", "toString"]) {
    assert.ok(!isFinalRefusal(code), code);
    assert.equal(refusalStatus(code), 503, code);
  }
});

test("repeated refusals wait longer, and a long subscription resets the wait", () => {
  const patience = new TopicRetry();
  const waits = [0, 1, 2, 4, 8, 16, 31].map((at) => patience.next(at, 0.999999));
  assert.deepEqual(
    waits.map((wait) => Math.round(wait * 2) / 2),
    [0.5, 1, 2, 4, 8, 15, 15],
  );
  assert.ok(patience.next(100, 0) < 0.5);
});
