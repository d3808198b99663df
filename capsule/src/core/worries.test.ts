import assert from "node:assert/strict";
import { test } from "node:test";
import { worstOf } from "./worries";

const at = 1000;

test("the worst of what is measured is named, a disk before what may pass by itself", () => {
  const latest = { "cpu.total": { value: 99, at }, "filesystem.used{mount=/}": { value: 96, at }, "filesystem.size{mount=/}": { value: 100, at }, "filesystem.used{mount=/var}": { value: 86, at }, "filesystem.size{mount=/var}": { value: 100, at } };
  assert.deepEqual(worstOf(latest), { level: "crit", title: "/ is 96% full.", mount: "/" });
  assert.equal(worstOf({ "cpu.total": { value: 85, at } })?.level, "warn");
  assert.equal(worstOf({ "cpu.total": { value: null, at } }), null);
});
