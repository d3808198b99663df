import assert from "node:assert/strict";
import { test } from "node:test";
import { searchRows } from "./terminal-search";

const row = (text: string, wrapped = false) => ({ text, wrapped });

test("words are found in each line, in any case, and across wrapped rows", () => {
  assert.deepEqual(searchRows([row("Setting up nginx"), row("nginx: NGINX")], "Nginx", 40), [
    { row: 0, column: 11, length: 5 },
    { row: 1, column: 0, length: 5 },
    { row: 1, column: 7, length: 5 },
  ]);
  assert.deepEqual(searchRows([row("0123456nee"), row("dle rest", true)], "needle", 10), [{ row: 0, column: 7, length: 6 }]);
  assert.deepEqual(searchRows([row("0123456789"), row("xx needle", true)], "needle", 10), [{ row: 1, column: 3, length: 6 }]);
});

test("an empty search finds nothing, and no match crosses a line end", () => {
  assert.deepEqual(searchRows([row("abc")], "", 10), []);
  assert.deepEqual(searchRows([row("nee"), row("dle")], "needle", 10), []);
  assert.equal(
    searchRows(
      Array.from({ length: 2000 }, () => row("x")),
      "x",
      10,
    ).length,
    1000,
  );
});
