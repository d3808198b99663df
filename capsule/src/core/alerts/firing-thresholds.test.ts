import assert from "node:assert/strict";
import { test } from "node:test";
import { alertChart, chartTitle, firingThreshold, worstThreshold, type FiringRule } from "./firing-thresholds";

const server = { cores: 4, memory: 1000 };
const rule = (expr: string, threshold: number | null, object = "", level: FiringRule["level"] = "warning"): FiringRule => ({
  expr,
  threshold,
  object,
  level,
});
const line = (series: string, ...firing: FiringRule[]): unknown => firingThreshold([series], firing, server);

test("a firing alert draws its threshold in the chart of its metric", () => {
  assert.deepEqual(line("cpu.total", rule("avg(cpu.total, 5m)", 90)), { at: 90, level: "warn" });
  assert.deepEqual(line("cpu.total", rule("detector(cpu_saturated)", 95, "", "critical")), { at: 95, level: "crit" });
  assert.deepEqual(line("memory.used", rule("avg(memory.available_percent, 1m)", 10)), { at: 900, level: "warn" });
  assert.deepEqual(line("load.1", rule("avg(load.per_core, 10m)", 3)), { at: 12, level: "warn" });
  assert.equal(line("cpu.total", rule("avg(cpu.iowait, 10m)", 40)), null);
  assert.equal(line("cpu.total", rule("state(unit_failed)", 0, "a.service")), null);
});

test("the threshold of a labelled metric is drawn only for its object, and the worst threshold is chosen", () => {
  const firing = [rule("avg(disk.busy, 10m)", 98, "sda"), rule("last(disk.busy)", 99, "sda", "critical")];
  assert.deepEqual(line("disk.busy{device=sda}", ...firing), { at: 99, level: "crit" });
  assert.equal(line("disk.busy{device=sdb}", ...firing), null);
});

test("a chart of several servers draws the first critical threshold, or else the first threshold", () => {
  const [warn, other, crit] = [
    { at: 90, level: "warn" },
    { at: 80, level: "warn" },
    { at: 97, level: "crit" },
  ] as const;
  assert.equal(worstThreshold([null, warn, crit, other]), crit);
  assert.equal(worstThreshold([null, warn, other]), warn);
  assert.equal(worstThreshold([null]), null);
});

test("the chart of an alert draws the series that its rule reads, with the threshold in the unit of that series", () => {
  const names = [
    "cpu.iowait",
    "load.1",
    "memory.used",
    "filesystem.used{mount=/}",
    "filesystem.used{mount=/srv}",
    "temperature{sensor=Tctl}",
  ];
  const chart = (expr: string, threshold: number | null, object = "") =>
    alertChart({ expr, object, level: "critical", threshold }, names, server);
  assert.deepEqual(chart("avg(cpu.iowait, 10m)", 50), { series: "cpu.iowait", metric: "cpu.iowait", at: 50 });
  assert.deepEqual(chart("avg(load.per_core, 10m)", 2), { series: "load.1", metric: "load.1", at: 8 });
  assert.deepEqual(chart("avg(memory.available_percent, 1m)", 10), { series: "memory.used", metric: "memory.used", at: 900 });
  assert.deepEqual(chart("detector(filesystem_space)", 95, "/srv"), {
    series: "filesystem.used{mount=/srv}",
    metric: "filesystem.used",
    at: null,
  });
  assert.deepEqual(chart("detector(sensor_temperature)", 90, "Tctl")?.series, "temperature{sensor=Tctl}");
  for (const none of [
    chart("state(unit_failed)", 0, "a.service"),
    chart("avg(cpu.steal, 20m)", 10),
    chart("detector(filesystem_space)", 95, "/gone"),
  ])
    assert.equal(none, null);
});

test("a chart is named in words, also that of a metric without a title of its own", () => {
  assert.equal(chartTitle("cpu.total"), "CPU total");
  assert.equal(chartTitle("filesystem.used{mount=/var}"), "Space used, /var");
  assert.equal(chartTitle("network.rx_errors{interface=eth0}"), "Network rx errors, eth0");
});
