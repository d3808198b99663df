import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeStatusOf, listsAreOld, healthOf, type NodeLike } from "./node-status";

const sample = (value: number | null, at = 100): { value: number | null; at: number } => ({ value, at });
const node = (latest: NodeLike["latest"], state: NodeLike["state"] = "online"): NodeLike => ({ state, latest, identity: { cpu_cores: 4 }, last_seen_at: 100, updates: { total: 0, checked_at: 50 } });

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
  const later = { ...node({ "cpu.total": sample(13, 101), "memory.used": sample(2), "memory.total": sample(4), "network.received": sample(null) }) };
  const carried = nodeStatusOf(later, whole);
  assert.deepEqual([carried.cpu, carried.at, carried.memory, carried.disk, carried.mount, carried.received, carried.temperature], [13, 101, 50, 90, "/srv", null, 60]);
});

test("health: the worst level counts, stale after five seconds, offline as the hub reports", () => {
  const at = (latest: NodeLike["latest"], now = 100, state: NodeLike["state"] = "online"): string => healthOf(node(latest, state), nodeStatusOf(node(latest, state)), now);
  assert.equal(at({ "cpu.total": sample(10) }), "ok");
  assert.equal(at({ "cpu.total": sample(85) }), "warn");
  assert.equal(at({ "cpu.total": sample(93) }), "crit");
  assert.equal(at({ "cpu.total": sample(93) }, 106), "stale");
  assert.equal(at({ "cpu.total": sample(93) }, 106, "offline"), "off");
  assert.equal(at({ "cpu.total": sample(null) }), "ok");
  const back: NodeLike = { ...node({ "cpu.total": sample(10) }, "offline"), reconnecting: true };
  assert.equal(healthOf(back, nodeStatusOf(back), 100), "stale");
});

test("zero updates from old or missing lists are an issue, and an unknown count is none", () => {
  const week = 7 * 86_400;
  for (const [total, checked_at, old] of [[0, 50, false], [0, null, true], [3, null, true], [null, null, false], [0, 50 - week, true]] as const) {
    assert.equal(listsAreOld({ total, checked_at }, 100), old);
    const one = { ...node({ "cpu.total": sample(10) }), updates: { total, checked_at } };
    assert.equal(healthOf(one, nodeStatusOf(one), 100), old ? "warn" : "ok");
  }
});
