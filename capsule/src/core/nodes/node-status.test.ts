import assert from "node:assert/strict";
import { test } from "node:test";
import { cpuLevel, healthOf, levelOf, listsAreOld, nodeStatusOf, type HealthLike, type NodeLike } from "./node-status";

const sample = (value: number | null, at = 100): { value: number | null; at: number } => ({ value, at });
const node = (latest: NodeLike["latest"], state: NodeLike["state"] = "online"): NodeLike => ({
  state,
  latest,
  identity: { cpu_cores: 4 },
  last_seen_at: 100,
  updates: { total: 0, checked_at: 50 },
  health: { level: "ok", findings: [] },
});

test("a node's status is the same from a summary and from all series", () => {
  const whole = nodeStatusOf(
    node({
      "cpu.total": sample(12),
      "memory.used": sample(1),
      "memory.total": sample(4),
      "filesystem.used{mount=/}": sample(5),
      "filesystem.size{mount=/}": sample(10),
      "filesystem.used{mount=/srv}": sample(9),
      "filesystem.size{mount=/srv}": sample(10),
      "network.received{interface=eth0}": sample(3),
      "network.received{interface=eth1}": sample(4),
      "network.received{interface=lo}": sample(100),
      "temperature{sensor=a}": sample(40),
      "temperature{sensor=b}": sample(60),
    }),
  );
  assert.deepEqual([whole.memory, whole.disk, whole.mount, whole.received, whole.temperature], [25, 90, "/srv", 7, 60]);
  assert.equal(nodeStatusOf(node({ "network.received": sample(7) })).received, 7);
  const later = {
    ...node({ "cpu.total": sample(13, 101), "memory.used": sample(2), "memory.total": sample(4), "network.received": sample(null) }),
  };
  const carried = nodeStatusOf(later, whole);
  assert.deepEqual(
    [carried.cpu, carried.at, carried.memory, carried.disk, carried.mount, carried.received, carried.temperature],
    [13, 101, 50, 90, "/srv", null, 60],
  );
});

test("a disk is full when only root can write to it", () => {
  const mount = { "filesystem.used{mount=/used}": sample(92), "filesystem.size{mount=/used}": sample(100) };
  assert.equal(nodeStatusOf(node({ ...mount, "filesystem.free{mount=/used}": sample(0) })).disk, 100);
  assert.equal(nodeStatusOf(node({ ...mount, "filesystem.free{mount=/used}": sample(null) })).disk, 92);
  assert.equal(nodeStatusOf(node(mount)).disk, 92);
});

const finding = (kind: string, level: "notice" | "warning" | "critical", object = ""): HealthLike["findings"][number] => ({
  kind,
  object,
  level,
});

test("health is the worst of the hub's findings and the state of the connection", () => {
  const at = (level: HealthLike["level"], more: Partial<NodeLike> = {}, now = 100): string => {
    const one = { ...node({ "cpu.total": sample(99) }), health: { level, findings: [] }, ...more };
    return healthOf(one, nodeStatusOf(one), now);
  };
  assert.deepEqual(
    (["ok", "notice", "warning", "critical", "unknown"] as const).map((level) => at(level)),
    ["ok", "notice", "warn", "crit", "ok"],
  );
  assert.equal(at("ok", {}, 106), "stale");
  assert.equal(at("critical", {}, 106), "crit"); // missing values end no finding
  assert.equal(at("critical", { state: "offline" }), "off");
  assert.equal(at("critical", { state: "offline", reconnecting: true }), "back");
  assert.equal(at("unknown", { state: "pending" }), "wait");
});

test("just after the page begins to watch, a value may be as old as an unwatched agent sends it", () => {
  const one = { ...node({ "cpu.total": sample(9) }) };
  const at = (now: number, watched: number): string => healthOf(one, nodeStatusOf(one), now, watched);
  assert.deepEqual([at(160, 158), at(160, 154), at(175, 174)], ["ok", "stale", "stale"]);
});

test("a value is marked by the worst finding about it", () => {
  const health: HealthLike = {
    level: "critical",
    findings: [finding("filesystem", "critical", "/srv"), finding("filesystem", "warning", "/"), finding("cpu", "notice")],
  };
  assert.deepEqual(
    [levelOf(health, "filesystem", "/"), levelOf(health, "filesystem", "/srv"), levelOf(health, "filesystem")],
    ["warn", "crit", "crit"],
  );
  assert.deepEqual([levelOf(health, "filesystem", "/var"), levelOf(health, "cpu"), levelOf(health, "memory")], ["", "", ""]);
  const busy = { level: "warning", findings: [finding("cpu", "warning")] } as const;
  assert.deepEqual([cpuLevel(busy, 97), cpuLevel(busy, null), cpuLevel(busy, 19)], ["warn", "warn", ""]); // a mark at 19 % would contradict itself
});

test("zero updates prove nothing while package lists are old or missing", () => {
  for (const [total, checked_at, found, old] of [
    [0, 50, false, false],
    [0, null, false, true],
    [3, null, false, true],
    [null, null, false, false],
    [0, 50, true, true],
  ] as const) {
    assert.equal(
      listsAreOld({ updates: { total, checked_at }, health: { level: "ok", findings: found ? [finding("lists_stale", "warning")] : [] } }),
      old,
    );
  }
});
