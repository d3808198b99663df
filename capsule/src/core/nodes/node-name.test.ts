import assert from "node:assert/strict";
import { test } from "node:test";
import { nameError, tagsError } from "./node-name";

test("a name that the hub would refuse has an error: the code of an invisible character, or the maximum length", () => {
  for (const good of ["", "web-01", "Rechner im Keller", " web\u00a001 ", "計算機", "a".repeat(100), "🛰".repeat(100)])
    assert.equal(nameError(good), "", good);
  assert.match(nameError("web\u202e10-bd"), /cannot be seen \(U\+202E\)/);
  assert.match(nameError("web\u200b01"), /\(U\+200B\)/);
  assert.match(nameError("web\u00ad01"), /\(U\+00AD\)/);
  for (const unseen of ["\u3164", "\u115f", "\u2800", "\u034f", "\ufe0f", "\u180e", "\uffa0"])
    assert.ok(nameError(`web${unseen}01`), unseen);
  assert.equal(nameError("a".repeat(101)), "A name has at most 100 characters; this has 101.");
});

test("an error of tags names the tag that is too long or has an invisible character, or reports too many", () => {
  const of = (count: number): string[] => Array.from({ length: count }, (_, index) => `t${index}`);
  assert.equal(tagsError(["web", "a".repeat(64), ...of(30)]), "");
  assert.equal(tagsError(["web", `eu-${"a".repeat(62)}`]), "A tag has at most 64 characters; eu-aaaaaaaaaaaaaaaaa… has 65.");
  assert.match(tagsError(["web", "d\u202eb"]), /^The tag db contains .*U\+202E/);
  assert.equal(tagsError(of(33)), "There are at most 32 tags; these are 33.");
});
