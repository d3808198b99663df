import assert from "node:assert/strict";
import { test } from "node:test";
import { panSpan, parseTimeRange, zoomSpan, spanOf, stepFor, typedSpan, timeRangeQuery, clampSpan } from "./time-range";

const read = (query: string) => parseTimeRange((name) => new URLSearchParams(query).get(name));

test("a time range is read from the query and written back", () => {
  for (const view of [
    { range: "live", zoom: null },
    { range: "7d", zoom: null },
    { range: "24h", zoom: { from: 1000, to: 2000 } },
  ] as const) {
    const query = new URLSearchParams(Object.entries(timeRangeQuery(view)).filter((pair): pair is [string, string] => pair[1] !== null));
    assert.deepEqual(read(query.toString()), view);
  }
});

test("invalid values in the query are ignored", () => {
  assert.deepEqual(read("range=year"), { range: "live", zoom: null });
  assert.deepEqual(read("range=__proto__"), { range: "live", zoom: null });
  for (const bad of ["from=5", "from=9&to=5", "from=1e3&to=2e3", "from=-5&to=50", "from=100&to=105", "from=0&to=99999999999"])
    assert.equal(read(bad).zoom, null, bad);
});

test("ranges end on a bucket border, and need no more points than requested", () => {
  assert.deepEqual(spanOf({ range: "1h", zoom: null }, 100_003, 600), { from: 96_410, to: 100_010 });
  assert.equal(stepFor(86_400, 600), 180);
  assert.equal(stepFor(2_592_000, 600), 7200);
  assert.equal(stepFor(400 * 86_400, 100), 4 * 86_400);
  assert.deepEqual(spanOf({ range: "live", zoom: { from: 5, to: 50 } }, 100_003, 600), { from: 5, to: 50 });
});

test("a window is whole seconds, ten at least, and never in the future", () => {
  assert.deepEqual(clampSpan(100.4, 103.2, 1000), { from: 96, to: 106 });
  assert.deepEqual(clampSpan(300, 200, 1000), { from: 200, to: 300 });
  assert.deepEqual(clampSpan(950, 1050, 1000.2), { from: 901, to: 1001 });
});

test("a typed window keeps its start, and its future part is cut off", () => {
  assert.deepEqual(typedSpan(100, 200, 1000), { from: 100, to: 200 });
  assert.deepEqual(typedSpan(940, 4540, 1000.2), { from: 940, to: 1001 });
  assert.deepEqual(typedSpan(100, 103, 1000), { from: 100, to: 110 });
  assert.deepEqual(typedSpan(998, 4540, 1000), { from: 990, to: 1000 });
  assert.deepEqual(typedSpan(100.6, 200.2, 1000), { from: 100, to: 201 });
});

test("a window moves and grows around a moment, up to now", () => {
  assert.deepEqual(panSpan({ from: 100, to: 200 }, -0.5, 1000), { from: 50, to: 150 });
  assert.deepEqual(panSpan({ from: 900, to: 1000 }, 0.5, 1000), { from: 900, to: 1000 });
  assert.deepEqual(zoomSpan({ from: 100, to: 200 }, 0.5, 150, 1000), { from: 125, to: 175 });
  assert.deepEqual(zoomSpan({ from: 100, to: 200 }, 2, 100, 1000), { from: 100, to: 300 });
});
