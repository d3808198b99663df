import assert from "node:assert/strict";
import { test } from "node:test";
import { chartScaleOf } from "./chart-scale";

test("the scale of a share ends at 100 percent", () => {
  assert.deepEqual(chartScaleOf("cpu.total", "percent", null), { max: 100 });
  assert.deepEqual(chartScaleOf("disk.busy{device=sda}", "percent", null), { max: 100 });
});

test("the scale of a share of one core may exceed 100 percent", () => {
  assert.deepEqual(chartScaleOf("unit.cpu{unit=nginx.service}", "percent", null), {});
});

test("the temperature scale begins at room temperature", () => {
  assert.deepEqual(chartScaleOf("temperature{sensor=k10}", "celsius", null), { min: 30, max: 95 });
});

test("the memory scale ends at the installed memory, other scales at their values", () => {
  assert.deepEqual(chartScaleOf("memory.used", "bytes", 8 << 20), { binary: true, max: 8 << 20 });
  assert.deepEqual(chartScaleOf("memory.used", "bytes", null), { binary: true });
  assert.deepEqual(chartScaleOf("memory.committed", "bytes", 8 << 20), { binary: true });
  assert.deepEqual(chartScaleOf("filesystem.used{mount=/}", "bytes", 8 << 20), { binary: true });
  assert.deepEqual(chartScaleOf("network.sent{interface=eth0}", "bytes/s", 8 << 20), {});
});
