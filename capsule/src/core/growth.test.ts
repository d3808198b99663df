import assert from "node:assert/strict";
import { test } from "node:test";
import { fillsIn, forecast, lasting, slope } from "./growth";

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test("growth is told with the time that is left, where there is enough to say so", () => {
  const hours = Array.from({ length: 7 }, (_, hour) => hour * 3600);
  const growth = slope(hours, hours.map((second) => 10 * 2 ** 30 + (second / 3600) * 2 ** 30));
  assert.equal(plain(forecast(growth, 91 * 2 ** 30, 100 * 2 ** 30)), "Growing 1.00 GiB/h, full in about 9 h.");
  assert.equal(slope([0, 60, 120], [1, 2, 3]), null);
  assert.equal(slope(hours, hours.map(() => null)), null);
  assert.equal(forecast(-5, 90, 100), "");
  assert.equal(forecast(1e-6, 90, 1000), "");
});

test("a forecast alone has no rate", () => {
  assert.equal(plain(fillsIn(2 ** 30 / 3600, 91 * 2 ** 30, 100 * 2 ** 30)), "full in about 9 h");
  assert.equal(fillsIn(null, 90, 100), "");
});

test("trouble is as old as the newest means that were all of it", () => {
  assert.equal(plain(lasting([10, 90, 91, 92, 93], 15, 75)), "for 1 min");
  assert.equal(plain(lasting([10, 90, 91, 92, 93, null], 15, 75)), "for 1 min", "the newest mean only begins");
  assert.equal(plain(lasting([90, 90, null, 90, 91], 15, 75)), "for 30 s", "a hole is no trouble that is known of");
  assert.equal(plain(lasting(Array<number>(40).fill(99), 15, 75)), "for over 10 min");
  assert.equal(lasting([10, 10, 90], 15, 75), "", "too short to say");
  assert.equal(lasting([], 15, 75), "");
});
