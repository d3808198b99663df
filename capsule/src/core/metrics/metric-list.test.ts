import assert from "node:assert/strict";
import { test } from "node:test";
import { metricGroups, formatValue } from "./metric-list";

const UNITS = new Map([
  ["cpu.total", "percent"],
  ["disk.read", "bytes/s"],
  ["temperature", "celsius"],
]);

test("a value has its unit, and an unknown value is a dash", () => {
  assert.equal(formatValue(12.345, "percent"), "12.3%");
  assert.equal(formatValue(1536, "bytes"), "1.50\u00a0KiB");
  assert.equal(formatValue(2_500_000, "bytes/s"), "2.50\u00a0MB/s");
  assert.equal(formatValue(1_000_000_000, "bits/s"), "1.00\u00a0Gbit/s");
  assert.equal(formatValue(41.6, "celsius"), "42°");
  assert.equal(formatValue(1234567, "sockets"), "1\u202f234\u202f567\u00a0sockets");
  assert.equal(formatValue(0.5, ""), "0.50");
  assert.equal(formatValue(1_045_000, "seconds"), "12\u00a0d 2\u00a0h");
  assert.equal(formatValue(0.25, "milliseconds"), "0.25\u00a0ms");
  assert.equal(formatValue(1, "flag"), "yes");
  assert.equal(formatValue(0, "bytes"), "0\u00a0B");
  assert.equal(formatValue(null, "bytes"), "—");
});

test("metrics are grouped by family in catalogue order, with labels in natural order", () => {
  const sample = { value: 1, at: 0 };
  const latest = {
    temperature: sample,
    "disk.read{device=sd10}": sample,
    "disk.read{device=sd9}": sample,
    "cpu.total": sample,
    "of.a.newer{what=ever}": sample,
  };
  const groups = metricGroups(latest, UNITS, "");
  assert.deepEqual(
    groups.map((group) => [group.family, group.values.map((measure) => `${measure.name}: ${measure.unit}`)]),
    [
      ["cpu", ["total: percent"]],
      ["disk", ["read sd9: bytes/s", "read sd10: bytes/s"]],
      ["temperature", ["temperature: celsius"]],
    ],
  );
});

test("a metric is listed only if it contains all words", () => {
  const sample = { value: 1, at: 0 };
  const latest = { "disk.read{device=sda}": sample, "disk.read{device=sdb}": sample, "cpu.total": sample };
  assert.deepEqual(
    metricGroups(latest, UNITS, "READ sdb").flatMap((group) => group.values.map((measure) => measure.series)),
    ["disk.read{device=sdb}"],
  );
});
