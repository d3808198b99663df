import assert from "node:assert/strict";
import { test } from "node:test";
import { jobWindow, linePath, sumOfSeries } from "./job-load";

test("the window begins before the job, is never short, and ends with it or now", () => {
  assert.deepEqual(jobWindow(1000, null, 1010), { from: 890, to: 1010 });
  assert.deepEqual(jobWindow(1000, 1600, 9000), { from: 940, to: 1660 });
  assert.deepEqual(jobWindow(1000, 1600, 1605), { from: 940, to: 1605 });
});

test("series are added up, and a gap in all of them stays a gap", () => {
  assert.deepEqual(
    sumOfSeries([
      [1, null, null],
      [2, 3, null],
    ]),
    [3, 3, null],
  );
  assert.deepEqual(sumOfSeries([]), []);
});

test("a gap breaks the line", () => {
  const path = linePath([0, 10, 20, 30], 0, [0, null, 50, 100], { from: 0, to: 40 }, 100);
  assert.equal(path, "M0.00 100.00M50.00 50.00L75.00 0.00");
});
