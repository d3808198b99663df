import assert from "node:assert/strict";
import { test } from "node:test";
import { RollingMean } from "./rolling-mean";

test("an interval has the mean of its values, and null without values", () => {
  const means = new RollingMean(4, 10);
  means.add(101, 1);
  means.add(109, 3);
  means.add(120, 8);
  assert.deepEqual(means.until(125), [null, 2, null, 8]);
  assert.deepEqual(means.until(135), [2, null, 8, null]);
});

test("values older than the window are dropped, also in a slot that is used again", () => {
  const means = new RollingMean(3, 10);
  means.add(5, 1);
  means.add(15, 2);
  means.add(35, 4);
  assert.deepEqual(means.until(39), [2, null, 4]);
  assert.equal(means.has(5), false);
  means.add(5, 7);
  assert.deepEqual(means.until(39), [2, null, 4]);
  means.add(1_000_035, 9);
  assert.deepEqual(means.until(1_000_039), [null, null, 9]);
});

test("history can be added after live values", () => {
  const means = new RollingMean(3, 10);
  means.add(30, 5);
  assert.equal(means.has(10), false);
  means.add(10, 1);
  assert.equal(means.has(19), true);
  assert.deepEqual(means.until(30), [1, null, 5]);
  assert.deepEqual(means.until(90), [null, null, null]);
});
