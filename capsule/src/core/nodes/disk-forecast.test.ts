import assert from "node:assert/strict";
import { test } from "node:test";
import { fullInText, forecastText, durationAbove, growthRate } from "./disk-forecast";

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test("growth is shown with the remaining time, if there is enough data", () => {
  const hours = Array.from({ length: 7 }, (_, hour) => hour * 3600);
  const growth = growthRate(hours, hours.map((second) => 10 * 2 ** 30 + (second / 3600) * 2 ** 30));
  assert.equal(plain(forecastText(growth, 91 * 2 ** 30, 100 * 2 ** 30)), "Growing 1.00 GiB/h, full in about 9 h.");
  assert.equal(growthRate([0, 60, 120], [1, 2, 3]), null);
  assert.equal(growthRate(hours, hours.map(() => null)), null);
  assert.equal(forecastText(-5, 90, 100), "");
  assert.equal(forecastText(1e-6, 90, 1000), "");
});

test("a forecast alone has no rate", () => {
  assert.equal(plain(fullInText(2 ** 30 / 3600, 91 * 2 ** 30, 100 * 2 ** 30)), "full in about 9 h");
  assert.equal(fullInText(null, 90, 100), "");
});

test("an issue has lasted as long as the newest means above its threshold", () => {
  assert.equal(plain(durationAbove([10, 90, 91, 92, 93], 15, 75)), "for 1 min");
  assert.equal(plain(durationAbove([10, 90, 91, 92, 93, null], 15, 75)), "for 1 min", "the newest mean only begins");
  assert.equal(plain(durationAbove([90, 90, null, 90, 91], 15, 75)), "for 30 s", "a gap is no trouble that is known of");
  assert.equal(plain(durationAbove(Array<number>(40).fill(99), 15, 75)), "for over 10 min");
  assert.equal(durationAbove([10, 10, 90], 15, 75), "", "too short to say");
  assert.equal(durationAbove([], 15, 75), "");
});
