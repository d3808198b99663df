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
  assert.equal(fieldChange({ field: "warn", before: { trigger: 80 }, after: null }), 'warn: {"trigger":80} → null');
});
