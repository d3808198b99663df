import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeStatusOf, healthOf } from "./node-status";
import { worstIssue } from "./node-issues";

const at = 1000;

test("the worst issue is named, and a disk comes before issues that pass by themselves", () => {
  const latest = { "cpu.total": { value: 99, at }, "filesystem.used{mount=/}": { value: 96, at }, "filesystem.size{mount=/}": { value: 100, at }, "filesystem.used{mount=/var}": { value: 86, at }, "filesystem.size{mount=/var}": { value: 100, at } };
  assert.deepEqual(worstIssue(latest), { level: "crit", title: "/ is 96% full.", mount: "/" });
  assert.equal(worstIssue({ "cpu.total": { value: 85, at } })?.level, "warn");
  assert.equal(worstIssue({ "cpu.total": { value: null, at } }), null);
});

test("the node's page and its mark in a list agree", () => {
  const node = (latest: Record<string, { value: number; at: number }>) => ({ state: "online" as const, latest: { "cpu.total": { value: 5, at }, ...latest }, identity: { cpu_cores: 4 }, last_seen_at: at, updates: { total: null, checked_at: null } });
  for (const [latest, level, title] of [
    [{ "filesystem.inodes_used{mount=/}": { value: 3, at }, "filesystem.inodes_used{mount=/srv}": { value: 99, at } }, "crit", "/srv has used 99% of its inodes."],
    [{ "filesystem.inodes_used{mount=/}": { value: 85, at } }, "warn", "/ has used 85% of its inodes."],
    [{ "memory.used": { value: 96, at }, "memory.total": { value: 100, at } }, "crit", "Memory is 96% full."],
    [{ "temperature{sensor=a}": { value: 40, at }, "temperature{sensor=b}": { value: 85, at } }, "warn", "b is at 85°."],
  ] as const) {
    const one = node(latest);
    const worst = worstIssue(one.latest);
    assert.equal(healthOf(one, nodeStatusOf(one), at), level);
    assert.deepEqual([worst?.level, worst?.title], [level, title]);
  }
});

test("a mount with few inodes is no issue once a summary names another", () => {
  const latest = { "filesystem.inodes_used{mount=/old}": { value: 99, at }, "filesystem.inodes_used{mount=/}": { value: 40, at: at + 60 } };
  assert.equal(nodeStatusOf({ latest }).inodes, 40);
  assert.equal(nodeStatusOf({ latest: Object.fromEntries(Object.entries(latest).reverse()) }).inodes, 40);
});
