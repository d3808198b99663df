import assert from "node:assert/strict";
import { test } from "node:test";

/** As in a page, the catalogue is set before any module with messages is loaded. */
Object.assign(globalThis, {
  stardustWords: {
    "{}": "pl",
    "Add node": "Dodaj węzeł",
    "{0} of {1} nodes": "z {1} węzłów {0}",
    "Type {0} here.": "Tu wpisz {0}.",
    "node|nodes": { one: "węzeł", few: "węzły", many: "węzłów" },
    "inodes used": "zajęte i-węzły",
    "Started in {unit}: {names}.": "Uruchomione: {names} (w {unit}).",
  },
});
const { codedText } = await import("./coded-text");
const { pluralWord, tElements, translate, t } = await import("./i18n");
Reflect.deleteProperty(globalThis, "stardustWords"); // the tests of other files share this process

test("a catalogue sets the word order and the plural forms", () => {
  assert.equal(t`Add node`, "Dodaj węzeł");
  assert.equal(t`Not there yet`, "Not there yet");
  for (const total of [5, 6]) assert.equal(t`${"{1}"} of ${total} nodes`, `z ${total} węzłów {1}`);
  assert.deepEqual(
    [1, 2, 5, 22].map((amount) => pluralWord(amount, "node")),
    ["węzeł", "węzły", "węzłów", "węzły"],
  );
  assert.deepEqual(
    [1, 2].map((amount) => pluralWord(amount, "chart")),
    ["chart", "charts"],
  );
});

test("an element stays one element, in any word order", () => {
  const bold = { type: "b" };
  assert.deepEqual(tElements`Type ${bold} here.`, ["Tu wpisz ", bold, "."]);
});

test("a name of the hub is translated, and an empty text stays empty", () => {
  assert.deepEqual(["inodes used", "zz", ""].map(translate), ["zajęte i-węzły", "zz", ""]);
});

test("a sentence of an agent is translated by its template, and shown as it came without one", () => {
  const facts = { unit: "{names}", names: "ssh" };
  assert.equal(
    codedText("Started in {names}: ssh.", { code: "one", template: "Started in {unit}: {names}.", facts }),
    "Uruchomione: ssh (w {names}).",
  );
  assert.equal(codedText("Of {names}: ssh.", { code: "two", template: "Of {unit}: {names}.", facts }), "Of {names}: ssh.");
  assert.equal(codedText("Something new.", null), "Something new.");
});
