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

test("of an object whose fields stand alone, each is kept by itself", () => {
  const [base, mine, other] = [
    { order: { percent: 10, at_once: 10 } },
    { order: { percent: 10, at_once: 10, canary: 2 } },
    { order: { percent: 20, at_once: 10 } },
  ];
  const met = meet<{ order: { percent: number; at_once: number; canary?: number } }>(base, mine, other, ["order"]);
  assert.deepEqual(met.draft, { order: { percent: 20, at_once: 10, canary: 2 } });
  assert.deepEqual([met.ours, met.theirs], [["Canaries: none → 2"], ["First wave, %: 10 → 20"]]);
});
