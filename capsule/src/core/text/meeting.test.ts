import assert from "node:assert/strict";
import { test } from "node:test";
import { meet } from "./meeting";

interface Policy {
  name: string;
  start: string;
  enabled: boolean;
  only: string[];
  select: { all?: boolean; tags?: string[] };
}
const BASE: Policy = { name: "nights", start: "02:30", enabled: true, only: [], select: { all: true, tags: [] } };

test("what was typed stays upon what the other has saved, and both are said", () => {
  const met = meet(BASE, { ...BASE, start: "03:30" }, { ...BASE, start: "04:00", enabled: false });
  assert.deepEqual(met.draft, { ...BASE, start: "03:30", enabled: false });
  assert.deepEqual(met.ours, ["Start: 04:00 → 03:30"]);
  assert.deepEqual(met.theirs, ["Switched on: yes → no"]);
});

test("a change that both have made differs in nothing", () => {
  const same = { ...BASE, name: "days" };
  assert.deepEqual(meet(BASE, same, { ...same }), { draft: same, ours: [], theirs: [] });
});

test("what a form leaves out because it is empty is no change", () => {
  const met = meet(BASE, { ...BASE, select: { all: true } }, { ...BASE, only: ["curl"] });
  assert.deepEqual([met.draft.select, met.ours, met.theirs], [BASE.select, [], ["Only: none → curl"]]);
});
