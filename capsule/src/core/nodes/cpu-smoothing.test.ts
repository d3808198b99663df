import assert from "node:assert/strict";
import { test } from "node:test";
import { smoothCpu, type SmoothedCpu } from "./cpu-smoothing";

const run = (values: readonly number[]): SmoothedCpu[] => {
  const seen: SmoothedCpu[] = [];
  values.forEach((value, second) => seen.push(smoothCpu(seen.at(-1) ?? null, value, 1000 + second)));
  return seen;
};
const lasting = (value: number): number[] => Array<number>(60).fill(value);

test("the first sample counts as it is", () => {
  assert.deepEqual(smoothCpu(null, 97, 1000), { value: 97, at: 1000, level: "crit" });
  assert.equal(smoothCpu(null, 12, 1000).level, "");
});

test("one busy second is no issue, and a lasting load is", () => {
  assert.deepEqual(run([10, 10, 100, 10, 10]).map(({ level }) => level), ["", "", "", "", ""]);
  assert.equal(run([10, ...lasting(85)]).at(-1)?.level, "warn");
  assert.equal(run([10, ...lasting(98)]).at(-1)?.level, "crit");
});

test("an issue does not flicker around its threshold, and ends well below it", () => {
  const levels = run(Array.from({ length: 120 }, (_, second) => (second % 2 ? 100 : 86))).map(({ level }) => level);
  assert.ok(levels.filter((level, index) => index > 0 && level !== levels[index - 1]).length <= 1, levels.join());
  assert.equal(run([98, ...lasting(20)]).at(-1)?.level, "");
});

test("an old value is dropped", () => {
  assert.deepEqual(smoothCpu({ value: 99, at: 1000, level: "crit" }, 10, 1100), { value: 10, at: 1100, level: "" });
});
