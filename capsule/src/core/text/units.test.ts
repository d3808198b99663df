import assert from "node:assert/strict";
import { test } from "node:test";
import { count, digits3, network, percent, rate, share, size } from "./units";

test("sizes are binary, rates decimal, both with three digits", () => {
  assert.equal(size(0), "0\u00a0B");
  assert.equal(size(1536), "1.50\u00a0KiB");
  assert.equal(size(128 * 2 ** 30), "128\u00a0GiB");
  assert.equal(rate(8_400_000), "8.40\u00a0MB/s");
  assert.equal(rate(999_900), "1.00\u00a0MB/s");
  assert.deepEqual(
    [network(8_400_000, false), network(8_400_000, true), network(8_400_000, true, true), network(124.99, true), network(null, true)],
    ["8.40\u00a0MB/s", "67.2\u00a0Mbit/s", "67.2\u00a0Mbit", "1.00\u00a0kbit/s", "—"],
  );
  assert.equal(digits3(9.996), "10.0");
  assert.equal(digits3(99.96), "100");
});

test("an unknown value is a dash, never 0", () => {
  for (const said of [size(null), rate(undefined), percent(null), count(null)]) assert.equal(said, "—");
  assert.equal(share(5, 0), null);
  assert.equal(share(null, 5), null);
});
