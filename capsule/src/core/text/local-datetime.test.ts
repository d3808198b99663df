import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLocalDatetime, localDatetime, repeatedHourOffset } from "./local-datetime";

/** Half past two in the night when clocks go back from three to two: first in summer time, then again an hour later. */
const [FIRST, SECOND] = [1_792_888_200, 1_792_891_800];

test("an unchanged text gives its original moment, also in a repeated hour", () => {
  assert.equal(localDatetime(FIRST), localDatetime(SECOND));
  assert.deepEqual(
    [FIRST, SECOND].map((at) => parseLocalDatetime(localDatetime(at), at)),
    [FIRST, SECOND],
  );
});

test("a changed text is read as local time", () => {
  assert.equal(parseLocalDatetime("2026-10-25T12:00:00", SECOND), Date.UTC(2026, 9, 25, 11) / 1000);
  assert.ok(Number.isNaN(parseLocalDatetime("", SECOND)));
});

test("an ambiguous local time is shown with its UTC offset", () => {
  assert.equal(repeatedHourOffset(FIRST), "This time comes twice: the first one is meant, UTC+02:00.");
  assert.equal(repeatedHourOffset(SECOND), "This time comes twice: the second one is meant, UTC+01:00.");
  assert.deepEqual([FIRST - 7200, SECOND + 7200, NaN].map(repeatedHourOffset), ["", "", ""]);
});
