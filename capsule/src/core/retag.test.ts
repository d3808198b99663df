import assert from "node:assert/strict";
import { test } from "node:test";
import { retagged, tagCounts } from "./retag";

test("tags are added behind those there are, and taken away, and a node that has them already is left alone", () => {
  assert.deepEqual(retagged(["web", "prod"], ["eu", "web"], ["prod"]), ["web", "eu"]);
  assert.equal(retagged(["web"], ["web"], ["prod"]), null);
  assert.equal(retagged(["web"], ["web"], ["web"]), null);
});

test("tags are counted over nodes", () => {
  assert.deepEqual(tagCounts([{ tags: ["b", "a"] }, { tags: ["a"] }, { tags: [] }]), [["a", 2], ["b", 1]]);
});
