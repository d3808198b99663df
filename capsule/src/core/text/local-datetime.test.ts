import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLocalDatetime, localDatetime, repeatedHourOffset } from "./local-datetime";

process.env["TZ"] = "Europe/Berlin";
/** Half past two in the night when clocks go back from three to two: first in summer time, then again an hour later. */
const [FIRST, SECOND] = [1_792_888_200, 1_792_891_800];

test("a text that nobody touched is the moment it was made of, also in the hour that comes twice", () => {
  assert.equal(localDatetime(FIRST), localDatetime(SECOND));
  assert.deepEqual([FIRST, SECOND].map((at) => parseLocalDatetime(localDatetime(at), at)), [FIRST, SECOND]);
});

test("a text that was changed is read by the clock", () => {
  assert.equal(parseLocalDatetime("2026-10-25T12:00:00", SECOND), Date.UTC(2026, 9, 25, 11) / 1000);
  assert.ok(Number.isNaN(parseLocalDatetime("", SECOND)));
});

test("where a clock shows two moments alike, it is said which one is meant", () => {
  assert.equal(repeatedHourOffset(FIRST), "This time comes twice: the first one is meant, UTC+02:00.");
  assert.equal(repeatedHourOffset(SECOND), "This time comes twice: the second one is meant, UTC+01:00.");
  assert.deepEqual([FIRST - 7200, SECOND + 7200, NaN].map(repeatedHourOffset), ["", "", ""]);
});
