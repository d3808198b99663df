import assert from "node:assert/strict";
import { test } from "node:test";
import { figures, joined, MOST_NODES, readIds } from "./compare";

test("nodes that sample at other moments share their times, and only a real hole breaks a line", () => {
  const { times, values } = joined([{ times: [1, 2, 9], column: [10, 11, 12] }, { times: [1.5, 2.5, 3.5], column: [20, 21, 22] }], 2.5);
  assert.deepEqual(times, [1, 1.5, 2, 2.5, 3.5, 9]);
  assert.deepEqual(values, [[10, undefined, 11, null, null, 12], [null, 20, undefined, 21, 22, null]]);
});

test("figures of a window count each bucket's own extremes and leave out what is missing", () => {
  assert.deepEqual(figures([1, null, 3, undefined]), { low: 1, mean: 2, high: 3 });
  assert.deepEqual(figures([1, 3], [0.5, 2], [2, 9]), { low: 0.5, mean: 2, high: 9 });
  assert.deepEqual(figures([null]), { low: null, mean: null, high: null });
});

test("ids of a query are each taken once, and no more than can be told apart", () => {
  assert.deepEqual(readIds("a,b,a,,<x>,../c"), ["a", "b"]);
  assert.deepEqual(readIds(null), []);
  assert.equal(readIds(Array.from({ length: 50 }, (_, index) => `n${index}`).join()).length, MOST_NODES);
});
