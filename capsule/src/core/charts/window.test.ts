import assert from "node:assert/strict";
import { test } from "node:test";
import {
  breakGaps,
  fromBuckets,
  findGaps,
  isolatedRows,
  LiveWindow,
  nearestRow,
  seriesGaps,
  partOf,
  sampleRow,
  bridgeGaps,
  stacked,
  tableRows,
} from "./window";

test("a gap of more than two and a half intervals becomes a null that no line crosses", () => {
  const window = new LiveWindow(300);
  for (const at of [100, 101, 102, 110, 111]) window.add("a", at, at);
  const { times, values } = window.columns(["a"], 111, 1);
  assert.deepEqual(times, [100, 101, 102, 106, 110, 111]);
  assert.deepEqual(values, [[100, 101, 102, null, 110, 111]]);
});

test("two late seconds are no gap", () => {
  assert.deepEqual(breakGaps({ times: [0, 1, 3.4], values: [[1, 2, 3]] }, 2.5).times, [0, 1, 3.4]);
});

test("late and repeated samples are placed by time, and the last one wins", () => {
  const window = new LiveWindow(300);
  window.add("a", 10, 1);
  window.add("a", 12, 3);
  window.add("a", 11, 2);
  window.add("a", 12, 4);
  assert.deepEqual(window.columns(["a"], 12, 1).values, [[1, 2, 4]]);
});

test("a failed measurement stays null beside a series with values", () => {
  const window = new LiveWindow(300);
  window.add("a", 1, 5);
  window.add("b", 1, null);
  assert.deepEqual(window.columns(["a", "b", "c"], 1, 1).values, [[5], [null], [null]]);
});

test("a long session holds no more than its window", () => {
  const window = new LiveWindow(60);
  for (let at = 0; at < 10_000; at += 1) window.add("a", at, at);
  assert.equal(window.columns(["a"], 9_999, 1).times.length, 61);
});

test("samples of a server whose clock was set back are kept, and those of the wrong time are dropped", () => {
  const window = new LiveWindow(300);
  for (let at = 4000; at < 4300; at += 1) window.add("a", at, 1, at - 3600);
  for (let at = 700; at <= 1000; at += 1) window.add("a", at, 2, at);
  assert.deepEqual(window.columns(["a"], 1000, 1).values, [Array.from({ length: 301 }, () => 2)]);
  assert.deepEqual(window.columns(["a"], 4299, 1).values, [[]]);
});

test("a live sample replaces the bucket of history that contains it", () => {
  const window = new LiveWindow(300);
  window.add("a", 11.4, 7);
  window.addBucket("a", 10, 1, 1);
  window.addBucket("a", 11, 1, 2);
  window.addBucket("a", 12, 1, 3);
  assert.deepEqual(window.columns(["a"], 12, 1), { times: [10, 11.4, 12], values: [[1, 7, 3]] });
});

test("empty buckets between two samples of a slow series are no gap", () => {
  const times = Array.from({ length: 21 }, (_, index) => index * 6);
  const column = times.map((at) => (at % 60 === 0 ? 20 : null));
  assert.deepEqual(fromBuckets({ times, values: [column] }, 6, 60).values, [[20, 20, 20]]);
});

test("a window of several parts uses the times and step of each part", () => {
  const fast = { step: 10, times: [0, 10, 20], series: { a: 1, b: 2 } };
  const slow = { step: 60, times: [0, 60], series: { c: 3 } };
  assert.equal(partOf([fast, slow], ["c"]), slow);
  assert.equal(partOf([fast, slow], ["x", "b"]), fast);
  assert.equal(partOf([fast, slow], ["x"]), undefined);
});

test("an empty bucket of a fast series is a gap", () => {
  const { values } = fromBuckets({ times: [0, 6, 12, 18], values: [[1, null, 1, 1]] }, 6, 1);
  assert.deepEqual(values, [[1, null, 1, 1]]);
});

test("there are no gaps before the past of every series was read", () => {
  const window = new LiveWindow(300);
  for (const name of ["a", "b"]) window.add(name, 300, 1);
  const found = (): unknown => findGaps(window.columns(["a", "b"], 300, 1), 0, 300, window.gapLimit(["a", "b"], 1));
  assert.deepEqual(found(), []);
  window.markRead(["a"]);
  assert.deepEqual(found(), []);
  window.markRead(["b", "c"]);
  assert.deepEqual(found(), [{ from: 0, to: 300 }]);
  window.whole = false;
  assert.deepEqual(found(), []);
});

test("gaps have their ends, also before the first and after the last sample", () => {
  const columns = { times: [10, 11, 15, 20, 21], values: [[1, 1, null, 1, 1]] };
  assert.deepEqual(findGaps(columns, 0, 40, 2.5), [
    { from: 0, to: 10 },
    { from: 11, to: 20 },
    { from: 21, to: 40 },
  ]);
  assert.deepEqual(findGaps({ times: [], values: [[]] }, 0, 40, 2.5), []);
});

test("each of several servers has its own gaps, except the common ones", () => {
  const times = [0, 1, 2, 3, 4, 5, 6, 7, 8, 20, 21];
  const one = times.map(() => 1);
  const other = [1, 1, null, null, null, null, 1, 1, 1, 1, 1];
  const young = times.map((at) => (at > 6 ? 1 : null));
  const never = times.map(() => null);
  assert.deepEqual(seriesGaps({ times, values: [one, other, young, never] }, 0, 21, 2.5, [0, 0, 7, 30]), [
    [],
    [{ from: 1, to: 6 }],
    [],
    [],
  ]);
  assert.deepEqual(seriesGaps({ times, values: [one, never] }, 0, 21, 2.5, [0, 5])[1], [{ from: 5, to: 21 }]);
});

test("a table has a row for each value and each gap, and no row for the break of a line", () => {
  const columns = { times: [10, 11, 15, 20, 21], values: [[1, 1, null, 1, 1]] };
  const gap = (from: number, to: number): object => ({ gap: { from, to } });
  assert.deepEqual(tableRows(columns, 0, 40, 2.5), [gap(0, 10), { row: 0 }, { row: 1 }, gap(11, 20), { row: 3 }, { row: 4 }, gap(21, 40)]);
  assert.deepEqual(tableRows(columns, 0, 20, 2.5, 9), [{ row: 0 }, { row: 1 }, gap(11, 20), { row: 3 }]);
  assert.deepEqual(
    tableRows(columns, 0, 40, Infinity),
    [0, 1, 3, 4].map((row) => ({ row })),
  );
});

test("series of several nodes do not break each other's lines, their own gaps do", () => {
  const times = [0, 0.4, 1, 1.4, 2, 6.4, 7];
  const one = [1, null, 2, null, 3, null, 4];
  const other = [null, 5, null, 6, null, 7, null];
  const { values } = bridgeGaps({ times, values: [one, other] }, 2.5);
  assert.deepEqual(values[0], [1, undefined, 2, undefined, 3, null, 4]);
  assert.deepEqual(values[1], [null, 5, undefined, 6, null, 7, null]);
});

test("the nearest row is found, and the nearest sample of one column within a limit", () => {
  assert.equal(nearestRow([], 5), -1);
  assert.deepEqual(
    [0, 11, 14, 16, 99].map((at) => nearestRow([10, 12, 15], at)),
    [0, 0, 2, 2, 2],
  );
  const times = [10, 11, 12, 13];
  assert.equal(sampleRow(times, [1, null, undefined, 2], 11.2, 2.5), 0);
  assert.equal(sampleRow(times, [1, null, undefined, 2], 12.2, 2.5), 3);
  assert.equal(sampleRow(times, [1, null, null, null], 13, 2.5), -1);
  assert.equal(sampleRow([], [], 13, 2.5), -1);
});

test("a value with a gap on both sides is isolated, and a value next to another value is not", () => {
  assert.deepEqual(isolatedRows([1, null, 2, 3, null, 4, undefined, 5, null, 6]), [0, 9]);
  assert.deepEqual(isolatedRows([undefined, 7, undefined]), [1]);
  assert.deepEqual(isolatedRows([]), []);
});

test("a stacked line is drawn on top of another line, and its gaps stay gaps", () => {
  assert.deepEqual(stacked([1, null, undefined, 4], [10, 20, 30, null]), [11, null, undefined, 4]);
});
