import assert from "node:assert/strict";
import { test } from "node:test";
import { splitColumns } from "./column-names";
import { chosenColumns, columnText, fleetCsv, storedColumns } from "./columns";

const SHOWN = {
  name: "web-1",
  address: "10.0.0.1",
  tags: ["prod", "web"],
  os: "debian Debian 12",
  system: "Debian 12",
  kernel: "6.1.0",
  location: "home",
  revision: "1a2b3c4d #42",
  patch: "nights at 02:30",
  agent: "1.4",
  note: "",
  reboot: "yes",
  state: "warning",
  health: "warning",
  findings: ["reboot_due"],
  cpu: 12.5,
  memory: null,
  disk: 40,
  load: 0,
  updates: 3,
  security: null,
  failed: 0,
};

test("stored columns are shown in the order of the table, and unknown ones are left out", () => {
  assert.deepEqual(chosenColumns(["note", "kernel", "of.a.newer.page", "os"]), ["os", "kernel", "note"]);
});

test("a cell is empty if its value is unknown or adds nothing", () => {
  const text = (key: Parameters<typeof columnText>[0], change = {}): string => columnText(key, { ...SHOWN, ...change });
  assert.deepEqual(
    [text("os"), text("kernel"), text("address"), text("reboot"), text("failed", { failed: 2 })],
    ["Debian 12", "6.1.0", "10.0.0.1", "needed", "2"],
  );
  assert.deepEqual(
    [text("address", { name: "10.0.0.1" }), text("reboot", { reboot: "unknown" }), text("failed"), text("note")],
    ["", "", "", ""],
  );
});

test("the fleet's CSV has one row for each node, and no formula", () => {
  const [head, first, second] = fleetCsv([SHOWN, { ...SHOWN, name: "=HYPERLINK(1)", system: "+1", note: '@SUM(1,"2")' }]).split("\r\n");
  assert.equal(head?.split(",").length, 21);
  assert.equal(
    first,
    "web-1,warning,warning,reboot_due,prod web,12.5,,40,0,3,,Debian 12,6.1.0,1.4,10.0.0.1,home,1a2b3c4d #42,nights at 02:30,yes,0,",
  );
  assert.equal(
    second,
    `'=HYPERLINK(1),warning,warning,reboot_due,prod web,12.5,,40,0,3,,'+1,6.1.0,1.4,10.0.0.1,home,1a2b3c4d #42,nights at 02:30,yes,0,"'@SUM(1,""2"")"`,
  );
});

test("columns that were taken off are stored with a minus, beside those that were added", () => {
  const stored = storedColumns(["note", "tags"], ["load", "cpu", "of.a.newer.page"]);
  assert.deepEqual(stored, ["tags", "note", "-cpu", "-load"]);
  assert.deepEqual(splitColumns(stored), { added: ["tags", "note"], off: ["cpu", "load"] });
});
