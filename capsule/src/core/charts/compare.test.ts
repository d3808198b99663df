import assert from "node:assert/strict";
import { test } from "node:test";
import { aggregate, alignSeries, MAX_NODES, parseNodeIds } from "./compare";

test("nodes with different sample times share whole seconds, and only a real gap breaks a line", () => {
  const parts = [
    { times: [1.3, 2.3, 5.8, 9.3], column: [10, 11, null, 12] },
    { times: [1.7, 2.7, 3.7], column: [20, 21, 22] },
  ];
  assert.deepEqual(alignSeries(parts, 1), {
    times: [1, 2, 3, 6, 9],
    values: [
      [10, 11, null, null, 12],
      [20, 21, 22, null, null],
    ],
  });
});

test("nodes that sample once a minute share whole minutes", () => {
  assert.deepEqual(
    alignSeries(
      [
        { times: [72, 132], column: [1, 2] },
        { times: [97, 157], column: [3, 4] },
      ],
      60,
    ),
    {
      times: [60, 120],
      values: [
        [1, 2],
        [3, 4],
      ],
    },
  );
});

test("a sample that is a little early or late goes to the second after the previous one", () => {
  const late = { times: [4.99, 6.01, 6.99, 8.01, 8.99], column: [1, 2, 3, 4, 5] };
  assert.deepEqual(alignSeries([late], 1), { times: [4, 5, 6, 7, 8], values: [[1, 2, 3, 4, 5]] });
  // A slower sampler falls behind by one second at most.
  const slow = Array.from({ length: 300 }, (_, turn) => turn * 1.01);
  const { times } = alignSeries([{ times: slow, column: slow }], 1);
  slow.forEach((at) =>
    assert.ok(
      times.some((second) => at - second >= 0 && at - second < 2),
      String(at),
    ),
  );
  assert.equal(new Set(times).size, times.length);
});

test("aggregates of a window use each bucket's minimum and maximum, and ignore missing values", () => {
  assert.deepEqual(aggregate([1, null, 3, undefined]), { low: 1, mean: 2, high: 3 });
  assert.deepEqual(aggregate([1, 3], [0.5, 2], [2, 9]), { low: 0.5, mean: 2, high: 9 });
  assert.deepEqual(aggregate([null]), { low: null, mean: null, high: null });
});

test("ids of a query are taken once each, up to the limit", () => {
  assert.deepEqual(parseNodeIds("a,b,a,,<x>,../c"), ["a", "b"]);
  assert.deepEqual(parseNodeIds(null), []);
  assert.equal(parseNodeIds(Array.from({ length: 50 }, (_, index) => `n${index}`).join()).length, MAX_NODES);
});
