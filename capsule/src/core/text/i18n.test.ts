import assert from "node:assert/strict";
import { test } from "node:test";
import { pluralWord, tElements, translate, t } from "./i18n";

test("without a catalogue all messages are in English", () => {
  assert.equal(t`Add node`, "Add node");
  assert.equal(t`${3} of ${"many"} nodes, $& {`, "3 of many nodes, $& {");
  assert.equal(t`${""}`, "");
  assert.deepEqual(
    [0, 1, 2].map((amount) => pluralWord(amount, "node")),
    ["nodes", "node", "nodes"],
  );
  assert.equal(pluralWord(2, "series", "series"), "series");
  assert.deepEqual(tElements`Type ${{ type: "b" }} here.`, ["Type ", { type: "b" }, " here."]);
});

test("a message named like a property of every object is an ordinary message", () => assert.equal(translate("constructor"), "constructor"));
