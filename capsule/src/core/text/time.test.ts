import assert from "node:assert/strict";
import { test } from "node:test";
import { age, date, duration, timeOrDate, sameDay, shortDuration, elapsed } from "./time";

test("durations have two parts at most", () => {
  assert.equal(duration(0.42), "0.4\u00a0s");
  assert.deepEqual([duration(0), duration(0.04), age(0)], Array(3).fill("0\u00a0s"));
  assert.deepEqual([elapsed(10, null, 13.4), elapsed(10, 13.4, 99)], ["3\u00a0s", "3.4\u00a0s"]);
  assert.equal(duration(372), "6\u00a0min 12\u00a0s");
  assert.equal(duration(3600), "1\u00a0h");
  assert.equal(age(8_040), "2\u00a0h 14\u00a0min");
  assert.equal(age(142 * 86400 + 6 * 3600 + 59), "142\u00a0d 6\u00a0h");
  assert.equal(shortDuration(400_000), "4\u00a0d");
});

test("a day of another year is a different day, and shows its year", () => {
  const at = (year: number, month: number, day: number): number => new Date(year, month, day, 14, 5).getTime() / 1000;
  const now = at(2026, 10, 22);
  assert.equal(timeOrDate(now, now), "14:05");
  assert.equal(timeOrDate(at(2026, 10, 21), now), "21\u00a0Nov, 14:05");
  assert.equal(timeOrDate(at(2025, 10, 22), now), "22\u00a0Nov\u00a02025, 14:05");
  assert.equal(date(at(2027, 0, 1), now), "1\u00a0Jan\u00a02027");
  assert.ok(sameDay(now, now + 60));
  assert.ok(!sameDay(at(2025, 10, 22), now));
});
