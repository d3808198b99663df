import assert from "node:assert/strict";
import { test } from "node:test";
import { containerRows, isRestartable, namedInPolicy, restartPermission } from "./containers";

test("failed containers come first, then running containers by use, then ended containers", () => {
  const columns = ["engine", "id", "name", "state", "image", "restarts", "oom_kills"].map((name) => ({
    name,
    kind: "text" as const,
    unit: "",
  }));
  const rows = ["idle running", "old exited", "busy running", "gone stopped", "full running"].map((word) => {
    const [name = "", state = ""] = word.split(" ");
    return ["podman", name, name, state, null, 0, 2];
  });
  const latest = Object.fromEntries(
    [
      ["cpu", "busy", 80],
      ["cpu", "idle", 1],
      ["cpu", "full", 1],
      ["memory", "full", 9],
      ["memory", "idle", 3],
    ].map(([part, name, value]) => [`container.${part}{container=${name}}`, { value: value as number }]),
  );
  const found = containerRows({ columns, rows }, latest);
  assert.deepEqual(
    found.map((row) => row.name),
    ["gone", "busy", "full", "idle", "old"],
  );
  assert.deepEqual(found[2], {
    engine: "podman",
    id: "full",
    name: "full",
    state: "running",
    image: null,
    restarts: 0,
    oomKills: 2,
    startedAt: null,
    cpu: 1,
    memory: 9,
  });
});

test("a container can be restarted if the policy names it; otherwise the lines that allow it are shown", () => {
  const policy = { mode: "managed", verbs: ["check", "container-restart"], containers: ["shop", "mail-*"] };
  assert.deepEqual(restartPermission(policy, "mail-1"), { allowed: true, lines: [] });
  assert.deepEqual(restartPermission(policy, "shop2"), { allowed: false, lines: ["containers = shop, mail-*, shop2"] });
  assert.deepEqual(restartPermission({ ...policy, verbs: ["check"] }, "shop"), {
    allowed: false,
    lines: ["verbs = check, container-restart"],
  });
  assert.deepEqual(restartPermission({ mode: "readonly", verbs: ["check"], containers: [] }, "shop").lines, [
    "version = 2",
    "mode = managed",
    "containers = shop",
  ]);
  assert.deepEqual(restartPermission({ mode: "managed", verbs: ["upgrade"], containers: [] }, "shop").lines, [
    "version = 2",
    "containers = shop",
  ]); // no such verb there yet
  assert.equal(restartPermission(null, "shop").allowed, false);
});

test("if an engine does not name its containers, the names in the policy are offered", () => {
  const policy = { mode: "managed", verbs: ["container-restart"], containers: ["shop", "mail-*", "web"] };
  const columns = ["engine", "id", "name", "state", "image", "restarts", "oom_kills"].map((name) => ({
    name,
    kind: "text" as const,
    unit: "",
  }));
  const rows = containerRows(
    {
      columns,
      rows: [
        ["docker", "4f1c", "4f1c", "running", null, 0, 0],
        ["podman", "a0", "web", "running", "nginx:1", 0, 0],
        ["lxc", "db", "db", "running", null, 0, 0],
      ],
    },
    {},
  );
  assert.deepEqual(
    rows.filter(isRestartable).map((row) => row.name),
    ["web"],
  );
  assert.deepEqual(namedInPolicy(policy, rows), ["shop"]);
  assert.deepEqual(namedInPolicy(policy, rows.slice(1)), []);
  assert.deepEqual(namedInPolicy(policy, [...rows, { ...rows[0]!, engine: "docker", id: "5a", name: "mail-1", image: "mail:1" }]), []); // Docker's names are known: no container is called shop
  assert.deepEqual(namedInPolicy({ ...policy, verbs: [] }, rows), []);
});
