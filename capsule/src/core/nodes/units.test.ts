import assert from "node:assert/strict";
import { test } from "node:test";
import { namesUnit, splitUnits, unitRows, unitVerbs, type UnitRow } from "./units";

const text = (name: string) => ({ name, kind: "text", unit: "" }) as const;
const UNITS = {
  columns: [text("unit"), text("description"), text("state"), { name: "since", kind: "time", unit: "" }],
  rows: [
    ["ssh.service", "Shell", "running", 100],
    ["web.service", "Web", "running", 100],
    ["old.service", "", "dead", null],
  ],
} as const;
const SERVICES = {
  columns: [
    text("unit"),
    text("state"),
    text("result"),
    { name: "since", kind: "time", unit: "" },
    { name: "restarts", kind: "number", unit: "" },
  ],
  rows: [["web.service", "failed", "exit-code", 200, 3]],
} as const;

test("failed units come first, with the values of the other reports", () => {
  const rows = unitRows(UNITS, SERVICES, {
    "service.cpu{service=ssh.service}": { value: 1.5 },
    "service.memory{service=ssh.service}": { value: 4096 },
  });
  assert.deepEqual(rows[0], {
    name: "web.service",
    description: "Web",
    state: "failed",
    result: "exit-code",
    since: 200,
    restarts: 3,
    cpu: null,
    memory: null,
  });
  assert.deepEqual(rows[1], {
    name: "ssh.service",
    description: "Shell",
    state: "running",
    result: "",
    since: 100,
    restarts: null,
    cpu: 1.5,
    memory: 4096,
  });
  assert.equal(rows[2]?.name, "old.service");
  assert.equal(unitRows(UNITS, undefined, {})[0]?.name, "ssh.service");
});

test("a pattern names a unit as it does on the node", () => {
  for (const name of ["nginx.service", "php8-fpm.service", "app@one.service"])
    assert.ok(namesUnit(["nginx", "php*-fpm.service", "app@*"], name), name);
  for (const name of ["nginx.socket", "xnginx.service", "php-fpm.socket", "app.service"])
    assert.ok(!namesUnit(["nginx", "php*-fpm.service", "app@*"], name), name);
  assert.ok(namesUnit(["a*b*c.service"], "a-b-c.service"));
  assert.ok(!namesUnit(["ab*bc.service"], "abc.service"));
  assert.ok(!namesUnit([], "ssh.service"));
});

test("only actions that the policy allows and that make sense for the unit are offered", () => {
  const row: UnitRow = {
    name: "ssh.service",
    description: "",
    state: "running",
    result: "",
    since: null,
    restarts: null,
    cpu: null,
    memory: null,
  };
  const policy = { mode: "managed", verbs: ["unit-start", "unit-stop", "unit-restart"], units: ["ssh.service", "stardust*"] };
  assert.deepEqual(unitVerbs(row, policy), ["unit-restart", "unit-stop"]);
  assert.deepEqual(unitVerbs({ ...row, state: "dead" }, policy), ["unit-start", "unit-restart"]);
  assert.deepEqual(unitVerbs({ ...row, name: "stardust-spider.service" }, policy), []);
  assert.deepEqual(unitVerbs({ ...row, name: "other.service" }, policy), []);
  const all = { ...policy, units: ["*"] };
  assert.deepEqual(unitVerbs({ ...row, name: "dbus.service" }, all), ["unit-stop"]);
  for (const name of ["rescue.service", "debug-shell@tty9.service", "initrd-cleanup.service", "systemd-poweroff.service", "srv.mount"]) {
    assert.deepEqual(unitVerbs({ ...row, name }, all), [], name);
    assert.deepEqual(splitUnits(all, "unit-start", [name]), { allowed: [], refused: [], lines: [] }, name);
  }
  assert.deepEqual(unitVerbs(row, { ...policy, mode: "readonly" }), []);
  assert.deepEqual(unitVerbs(row, null), []);
});

test("a job names the units that the owner allows, and the page shows which lines allow the rest", () => {
  const policy = { mode: "managed", verbs: ["check", "unit-restart"], units: ["nginx.service", "php*"] };
  const asked = ["nginx.service", "ssh.service", "dbus.service", "stardust-spider.service", "srv.mount"];
  assert.deepEqual(splitUnits(policy, "unit-restart", asked), {
    allowed: ["nginx.service"],
    refused: ["ssh.service"],
    lines: ["units = nginx.service, php*, ssh.service"],
  });
  assert.deepEqual(splitUnits(policy, "unit-restart", ["php8.service"]), { allowed: ["php8.service"], refused: [], lines: [] });
  assert.deepEqual(splitUnits(policy, "unit-stop", ["nginx.service"]).lines, ["verbs = check, unit-restart, unit-stop"]);
  assert.deepEqual(splitUnits({ mode: "readonly", verbs: ["check"], units: [] }, "unit-restart", ["nginx.service"]).lines, [
    "version = 2",
    "mode = managed",
    "units = nginx.service",
  ]);
  assert.deepEqual(splitUnits({ ...policy, units: ["*"] }, "unit-restart", asked).allowed, ["nginx.service", "ssh.service"]);
  assert.deepEqual(splitUnits(null, "unit-restart", ["srv.mount"]), { allowed: [], refused: [], lines: [] });
});
