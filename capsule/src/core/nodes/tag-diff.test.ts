import assert from "node:assert/strict";
import { test } from "node:test";
import { rebaseTags, rebasePatch, applyTagChange, tagCounts } from "./tag-diff";

test("tags are appended and removed, and a node that needs no change is left alone", () => {
  assert.deepEqual(applyTagChange(["web", "prod"], ["eu", "web"], ["prod"]), ["web", "eu"]);
  assert.equal(applyTagChange(["web"], ["web"], ["prod"]), null);
  assert.equal(applyTagChange(["web"], ["web"], ["web"]), null);
});

test("tags are counted over nodes", () => {
  assert.deepEqual(tagCounts([{ tags: ["b", "a"] }, { tags: ["a"] }, { tags: [] }]), [
    ["a", 2],
    ["b", 1],
  ]);
});

test("a change applies to the current tags: changes of other users stay", () => {
  assert.deepEqual(rebaseTags(["web", "prod"], ["web", "prod"], ["prod", "eu"]), ["prod", "eu"]);
  assert.deepEqual(rebaseTags(["web", "prod", "night"], ["web", "prod"], ["prod", "eu"]), ["prod", "night", "eu"]);
  assert.deepEqual(rebaseTags(["prod"], ["web", "prod"], ["web", "prod", "eu"]), ["prod", "eu"]);
  assert.equal(rebaseTags(["prod", "eu", "night"], ["web", "prod"], ["prod", "eu"]), null);
  assert.equal(rebaseTags(["web"], ["web"], ["web"]), null);
});

test("an undo restores tags in their order, if there was no change since", () => {
  assert.deepEqual(rebaseTags(["b", "new"], ["b", "new"], ["a", "b"]), ["a", "b"]);
  assert.deepEqual(rebaseTags(["b", "new", "late"], ["b", "new"], ["a", "b"]), ["b", "late", "a"]);
});

test("a name that another user has set since stays", () => {
  const [before, after] = [
    { name: "one", tags: ["a"] },
    { name: "two", tags: ["a", "b"] },
  ];
  assert.deepEqual(rebasePatch(before, before, after), { name: "two", tags: ["a", "b"] });
  assert.deepEqual(rebasePatch({ name: "other", tags: ["a"] }, before, after), { tags: ["a", "b"] });
  assert.equal(rebasePatch({ name: "other", tags: ["b", "a"] }, before, after), null);
});
