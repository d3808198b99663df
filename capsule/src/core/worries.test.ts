import assert from "node:assert/strict";
import { test } from "node:test";
import { forecast, slope, worstOf } from "./worries";

const at = 1000;
const plain = (text: string | undefined): string => (text ?? "").replaceAll("\u00a0", " ");

test("the worst of what is measured is named, a disk before what may pass by itself", () => {
  const latest = { "cpu.total": { value: 99, at }, "filesystem.used{mount=/}": { value: 96, at }, "filesystem.size{mount=/}": { value: 100, at }, "filesystem.used{mount=/var}": { value: 86, at }, "filesystem.size{mount=/var}": { value: 100, at } };
  assert.deepEqual(worstOf(latest), { level: "crit", title: "/ is 96% full.", mount: "/" });
  assert.equal(worstOf({ "cpu.total": { value: 85, at } })?.level, "warn");
  assert.equal(worstOf({ "cpu.total": { value: null, at } }), null);
});

test("growth is told with the time that is left, where there is enough to say so", () => {
  const hours = Array.from({ length: 7 }, (_, hour) => hour * 3600);
  const growth = slope(hours, hours.map((second) => 10 * 2 ** 30 + (second / 3600) * 2 ** 30));
  assert.equal(plain(forecast(growth, 91 * 2 ** 30, 100 * 2 ** 30)), "Grows 1.00 GiB/h, fills in about 9 h.");
  assert.equal(slope([0, 60, 120], [1, 2, 3]), null);
  assert.equal(slope(hours, hours.map(() => null)), null);
  assert.equal(forecast(-5, 90, 100), "");
  assert.equal(forecast(1e-6, 90, 1000), "");
});
