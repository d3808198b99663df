import assert from "node:assert/strict";
import { test } from "node:test";
import { containerRows } from "./containers";

test("failed containers come first, then those that use most, then those that ended", () => {
  const columns = ["engine", "id", "name", "state", "image", "restarts", "oom_kills"].map((name) => ({ name, kind: "text" as const, unit: "" }));
  const rows = ["idle running", "old exited", "busy running", "gone stopped", "full running"].map((word) => {
    const [name = "", state = ""] = word.split(" ");
    return ["podman", name, name, state, null, 0, 2];
  });
  const latest = Object.fromEntries([["cpu", "busy", 80], ["cpu", "idle", 1], ["cpu", "full", 1], ["memory", "full", 9], ["memory", "idle", 3]].map(([part, name, value]) => [`container.${part}{container=${name}}`, { value: value as number }]));
  const found = containerRows({ columns, rows }, latest);
  assert.deepEqual(found.map((row) => row.name), ["gone", "busy", "full", "idle", "old"]);
  assert.deepEqual(found[2], { engine: "podman", id: "full", name: "full", state: "running", image: null, restarts: 0, oomKills: 2, startedAt: null, cpu: 1, memory: 9 });
});
