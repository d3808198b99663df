import assert from "node:assert/strict";
import { test } from "node:test";
import { bestMatches, matchScore } from "./fuzzy-match";

test("every word must occur, and matches at the start come first", () => {
  assert.equal(matchScore("web up", "Upgrade web-01"), 1);
  assert.equal(matchScore("web x", "Upgrade web-01"), -1);
  assert.equal(matchScore("", "anything"), 0);
  assert.deepEqual(
    bestMatches("eb", ["web", "ebb", "x-eb", "none"], (one) => one, 9),
    ["ebb", "x-eb", "web"],
  );
  assert.deepEqual(
    bestMatches("", ["b", "a", "c"], (one) => one, 2),
    ["b", "a"],
  );
});
