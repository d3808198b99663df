import assert from "node:assert/strict";
import { test } from "node:test";
import { parseClosed, closedQuery, groupNodes, keepOrder, tableLines } from "./node-groups";

const node = (id: string, tags: string[] = [], os = "debian", state = "online") => ({ id, tags, os, state });

test("each node is in one group, keeps its order, and nodes without a tag come last", () => {
  const nodes = [node("b", ["web", "prod"]), node("a"), node("c", ["db"]), node("d", ["web"])];
  assert.deepEqual(groupNodes(nodes, "tag"), [
    { key: "db", ids: ["c"] },
    { key: "web", ids: ["b", "d"] },
    { key: "", ids: ["a"] },
  ]);
});

test("groups by state come worst first", () => {
  const nodes = [node("a"), node("b", [], "", "offline"), node("c", [], "", "critical")];
  assert.deepEqual(
    groupNodes(nodes, "state").map(({ key }) => key),
    ["offline", "critical", "online"],
  );
});

test("a closed group keeps its header and shows none of its nodes", () => {
  const groups = [
    { key: "db", ids: ["c"] },
    { key: "web", ids: ["b", "d"] },
  ];
  assert.deepEqual(tableLines(groups, new Set(["web"])), [
    { group: "db", size: 1, closed: false },
    { id: "c" },
    { group: "web", size: 2, closed: true },
  ]);
});

test("a kept order drops removed nodes, inserts new ones, and moves none", () => {
  assert.deepEqual(keepOrder(["a", "b", "c"], ["c", "b", "a"]), ["a", "b", "c"]);
  assert.deepEqual(keepOrder(["a", "b", "c"], ["c", "x", "a"]), ["a", "c", "x"]);
  assert.deepEqual(keepOrder(["a", "b"], ["n", "b", "a"]), ["n", "a", "b"]);
  assert.deepEqual(keepOrder([], ["b", "a"]), ["b", "a"]);
});

test("the address holds closed groups with any name", () => {
  const closed = new Set(["a,b", "50% off", ""]);
  assert.deepEqual(parseClosed(closedQuery(closed)), closed);
  assert.deepEqual(parseClosed(null), new Set());
  assert.deepEqual(parseClosed("100%"), new Set(["100%"]));
  assert.equal(closedQuery(new Set()), null);
  // The address drops an empty parameter.
  assert.equal(closedQuery(new Set([""])), ",");
  assert.deepEqual(parseClosed(","), new Set([""]));
});
