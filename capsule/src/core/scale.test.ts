import assert from "node:assert/strict";
import { test } from "node:test";
import { scaleOf } from "./scale";

test("a share is of a hundred, and a busy CPU has its threshold", () => {
  assert.deepEqual(scaleOf("cpu.total", "percent", null), { max: 100, threshold: { at: 80, level: "warn" } });
  assert.deepEqual(scaleOf("cpu.core{core=3}", "percent", null).threshold, { at: 80, level: "warn" });
  assert.deepEqual(scaleOf("disk.busy{device=sda}", "percent", null), { max: 100 });
});

test("a share of one core may be more than all of it", () => {
  assert.deepEqual(scaleOf("unit.cpu{unit=nginx.service}", "percent", null), {});
});

test("a temperature begins where rooms are warm", () => {
  assert.deepEqual(scaleOf("temperature{sensor=k10}", "celsius", null), { min: 30, max: 95, threshold: { at: 80, level: "warn" } });
});

test("memory ends with what there is of it, other sizes where their values do", () => {
  assert.deepEqual(scaleOf("memory.used", "bytes", 8 << 20), { binary: true, max: 8 << 20 });
  assert.deepEqual(scaleOf("memory.used", "bytes", null), { binary: true });
  assert.deepEqual(scaleOf("memory.committed", "bytes", 8 << 20), { binary: true });
  assert.deepEqual(scaleOf("filesystem.used{mount=/}", "bytes", 8 << 20), { binary: true });
  assert.deepEqual(scaleOf("network.sent{interface=eth0}", "bytes/s", 8 << 20), {});
});
