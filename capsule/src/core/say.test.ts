import assert from "node:assert/strict";
import { test } from "node:test";
import { form, said, speaker, t } from "./say";

test("without a catalogue everything is said as it is written", () => {
  assert.equal(t`Add node`, "Add node");
  assert.equal(t`${3} of ${"many"} nodes, $& {`, "3 of many nodes, $& {");
  assert.equal(t`${""}`, "");
  assert.deepEqual([0, 1, 2].map((amount) => form(amount, "node")), ["nodes", "node", "nodes"]);
  assert.equal(form(2, "series", "series"), "series");
});

test("a catalogue has its own order and its own forms", () => {
  const said = speaker({ "{}": "pl", "Add node": "Dodaj węzeł", "{0} of {1} nodes": "z {1} węzłów {0}", "node|nodes": { one: "węzeł", few: "węzły", many: "węzłów" } });
  assert.equal(said.t`Add node`, "Dodaj węzeł");
  assert.equal(said.t`Not there yet`, "Not there yet");
  for (const total of [5, 6]) assert.equal(said.t`${"{1}"} of ${total} nodes`, `z ${total} węzłów {1}`);
  assert.deepEqual([1, 2, 5, 22].map((amount) => said.form(amount, "node")), ["węzeł", "węzły", "węzłów", "węzły"]);
});

test("a name that is read as words is looked up, and nothing stays nothing", () => {
  const german = speaker({ "{}": "de", "inodes used": "belegte Inodes" });
  assert.deepEqual(["inodes used", "zz", ""].map(german.said), ["belegte Inodes", "zz", ""]);
});

test("a name that every object has is a name", () => assert.equal(said("constructor"), "constructor"));

test("an element stays one, wherever the language puts it", () => {
  const bold = { type: "b" };
  assert.deepEqual(speaker({ "Type {0} here.": "Hier {0} tippen." }).rich`Type ${bold} here.`, ["Hier ", bold, " tippen."]);
});
