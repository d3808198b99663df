import assert from "node:assert/strict";
import { test } from "node:test";
import { cellText, columnLabel, filterRows, sinceJobText, sortRows } from "./node-tables";

const TABLE = {
  columns: [
    { name: "name", kind: "text", unit: "" },
    { name: "cpu", kind: "number", unit: "percent" },
  ],
  rows: [
    ["b", 2],
    ["a", null],
    ["c", 10],
  ],
} as const;

test("rows are sorted by a column, and unknown values come last in both directions", () => {
  const names = (down: boolean): unknown[] => sortRows(TABLE, { column: "cpu", down }).map((row) => row[0]);
  assert.deepEqual(names(true), ["c", "b", "a"]);
  assert.deepEqual(names(false), ["b", "c", "a"]);
  assert.equal(sortRows(TABLE, null), TABLE.rows);
  assert.equal(sortRows(TABLE, { column: "of.a.newer", down: true }), TABLE.rows);
});

test("words select rows by any column", () => {
  assert.deepEqual(
    filterRows(TABLE.rows, "10 C").map((row) => row[0]),
    ["c"],
  );
  assert.equal(filterRows(TABLE.rows, " "), TABLE.rows);
});

test("cells have their unit, and ids are unformatted", () => {
  assert.equal(cellText({ name: "cpu", kind: "number", unit: "percent" }, 12.34, 0), "12.3%");
  assert.equal(cellText({ name: "pid", kind: "number", unit: "" }, 123456, 0), "123456");
  assert.equal(cellText({ name: "rotational", kind: "number", unit: "" }, 0, 0), "SSD");
  assert.equal(cellText({ name: "user", kind: "text", unit: "" }, "", 0), "—");
  assert.equal(cellText({ name: "memory", kind: "number", unit: "bytes" }, null, 0), "—");
});

test("a column's name becomes a label", () => {
  assert.deepEqual(["started_at", "next_at", "mac", "cpu", "description"].map(columnLabel), [
    "Started",
    "Next run",
    "MAC",
    "CPU",
    "Description",
  ]);
});

test("a table from before a job's end says so until a newer one came", () => {
  assert.equal(sinceJobText(100, 0, 5000), "");
  assert.equal(sinceJobText(1001, 1000, 1010), "");
  assert.match(sinceJobText(990, 1000, 1010), /is looking/);
  assert.match(sinceJobText(900, 1000, 90_000), /has not looked/);
  assert.equal(sinceJobText(990, 1000, 90_000), "", "by the server's clock, which may be wrong by some seconds");
});
