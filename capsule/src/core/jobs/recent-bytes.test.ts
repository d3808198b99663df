import assert from "node:assert/strict";
import { test } from "node:test";
import { RecentBytes } from "./recent-bytes";

test("the oldest chunks over the limit are dropped, and the others are taken once and in order", () => {
  const recent = new RecentBytes(5);
  const dropped = [1, 2, 3, 4, 5].map((length) => recent.push(new Uint8Array(length)));
  assert.deepEqual(dropped, [0, 0, 1, 5, 4]);
  assert.deepEqual(
    recent.take().map(({ length }) => length),
    [5],
  );
  assert.deepEqual(recent.take(), []);
  assert.equal(recent.push(new Uint8Array(5)), 0);
});
