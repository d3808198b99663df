import assert from "node:assert/strict";
import { test } from "node:test";
import { countFindings, findingKinds, kindLabel, severityOf } from "./findings";
import type { FindingLike, Health } from "./node-status";

const row = (health: Health, ...kinds: [string, FindingLike["level"]][]) => ({
  health,
  node: { health: { level: "ok" as const, findings: kinds.map(([kind, level]) => ({ kind, level, object: "" })) } },
});

test("the worst kind of finding comes first, and a node counts once for each kind", () => {
  const found = countFindings([
    row("ok"),
    row("notice", ["reboot_due", "notice"]),
    row("notice", ["reboot_due", "notice"]),
    row("warn", ["filesystem", "warning"], ["filesystem", "warning"]),
    row("crit", ["filesystem", "critical"], ["reboot_due", "notice"]),
  ]);
  assert.equal(found.nodes, 4);
  assert.deepEqual(found.kinds, [
    { kind: "filesystem", level: "critical", nodes: 2 },
    { kind: "reboot_due", level: "notice", nodes: 3 },
  ]);
});

test("a node is offline before the hub alerts, and not while it reconnects to a restarted hub", () => {
  assert.deepEqual(findingKinds(row("off")), ["offline"]);
  assert.deepEqual(findingKinds(row("off", ["filesystem", "warning"], ["offline", "critical"])), ["offline", "filesystem"]);
  assert.deepEqual(findingKinds(row("back", ["offline", "critical"], ["filesystem", "warning"])), ["filesystem"]);
  assert.deepEqual(findingKinds(row("ok")), []);
});

test("a server that the hub found offline comes first, one offline for seconds after critical ones, and of equal level broken packages before a busy CPU", () => {
  const [off, broken, hot, busy, blip, full, due, well] = [
    row("off", ["offline", "critical"]),
    row("crit", ["packages_broken", "critical"], ["cpu", "critical"]),
    row("crit", ["temperature", "critical"]),
    row("crit", ["cpu", "critical"]),
    row("off"),
    row("warn", ["filesystem", "warning"]),
    row("notice", ["reboot_due", "notice"]),
    row("ok"),
  ];
  const order = [off, broken, hot, busy, blip, full, due, well].map(severityOf);
  assert.deepEqual(
    order,
    [...order].sort((a, b) => b - a),
  );
  assert.equal(new Set(order).size, 8);
  assert.equal(severityOf(row("off", ["filesystem", "warning"])), severityOf(blip));
  assert.equal(severityOf(row("off", ["packages_broken", "critical"])), severityOf(broken));
  assert.deepEqual(
    countFindings([blip, blip, busy, busy, broken, full]).kinds.map(({ kind }) => kind),
    ["packages_broken", "cpu", "offline", "filesystem"],
  );
});

test("an unknown kind is shown by the hub's name", () => {
  assert.deepEqual([kindLabel("reboot_due"), kindLabel("disk_on_fire")], ["reboot", "disk on fire"]);
});
