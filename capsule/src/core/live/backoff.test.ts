import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "./backoff";

test("waits grow to fifteen seconds, each with jitter", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 50].map((attempt) => Number(backoff(attempt, 0.999999999).toFixed(3))),
    [0.5, 1, 2, 4, 8, 15, 15],
  );
  assert.equal(backoff(5, 0), 7.5);
});
