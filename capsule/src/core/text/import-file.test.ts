import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldChange, importedItems, rulesFile } from "./import-file";

test("a file has the list that is asked for, and only objects in it", () => {
  assert.deepEqual(importedItems('{"rules": [{"id": "a"}]}', "rules"), [{ id: "a" }]);
  for (const text of ["", "{", "null", "[]", '{"policies": []}', '{"rules": {}}', '{"rules": [1]}', '{"rules": [[]]}'])
    assert.equal(importedItems(text, "rules"), null, text);
});

test("an exported rule has the fields of a file, and a change shows both values", () => {
  const rule = {
    id: "cpu",
    name: "CPU",
    expr: "cpu.total",
    select: {},
    when: "above",
    warn: null,
    crit: null,
    for_s: 60,
    clear_s: 0,
    enabled: true,
    overrides: [],
    version: 3,
  };
  const file = rulesFile([rule]);
  assert.deepEqual(Object.keys(importedItems(file, "rules")?.[0] ?? {}).includes("version"), false);
  assert.equal(importedItems(file, "rules")?.[0]?.["for_s"], 60);
});

test("a changed field is said in words, never as JSON", () => {
  const said = (field: string, before: unknown, after: unknown): string => fieldChange({ field, before, after }).replaceAll("\u00a0", " ");
  assert.equal(said("warn", { trigger: 80, clear: 75 }, null), "Warning: starts at 80, ends at 75 → none");
  assert.equal(said("enabled", true, false), "Switched on: yes → no");
  assert.equal(said("for_s", 300, 0), "After it lasted: 5 min → 0");
  assert.equal(
    said("select", { all: true, tags: [], nodes: [] }, { all: false, tags: ["web", "db"], nodes: [] }),
    "Servers: all servers → tags web; db",
  );
  assert.equal(
    said("before", [{ name: "drain", timeout_s: 60, must_succeed: true }], []),
    "Before: name drain, timeout 1 min, must succeed → none",
  );
});
