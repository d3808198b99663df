import assert from "node:assert/strict";
import { test } from "node:test";
import { keptFault, keptSeconds, keptText } from "./retention";

test("a length of time is read as people write it, and written so that reading it gives the same", () => {
  for (const seconds of [7200, 86_400, 90_000, 30 * 86_400, 400 * 86_400, 7261]) assert.equal(keptSeconds(keptText(seconds)), seconds);
  assert.equal(keptText(86_400), "24 h");
  assert.equal(keptText(30 * 86_400), "30 d");
  assert.equal(keptSeconds("1.5 d"), 129_600);
  assert.equal(keptSeconds("1,5d"), 129_600);
  assert.equal(keptSeconds("2 Y"), 63_072_000);
  for (const wrong of ["", "3", "d", "-3 d", "3 parsecs", "1e9 d"]) assert.equal(keptSeconds(wrong), null);
});

test("what the hub would not take is said before it is asked", () => {
  assert.equal(keptFault("24 h"), "");
  assert.match(keptFault("1 h"), /At least 2 h/);
  assert.match(keptFault("11 y"), /at most 10 years/);
  assert.match(keptFault("7 d", "30 d"), /as long as the finer/);
  assert.equal(keptFault("30 d", "30 d"), "");
  assert.equal(keptFault("30 d", "nonsense"), "");
});
