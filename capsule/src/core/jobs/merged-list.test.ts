import assert from "node:assert/strict";
import { test } from "node:test";
import { deploymentFits, foldDeployments, mergeNewest } from "./merged-list";

test("two lists are one by time, and nothing stands below a hole", () => {
  const at = (item: number): number => item;
  assert.deepEqual(mergeNewest(at, { items: [9, 5, 1], whole: true }, { items: [8, 4], whole: true }), [9, 8, 5, 4, 1]);
  assert.deepEqual(mergeNewest(at, { items: [9, 5, 1], whole: true }, { items: [8, 4], whole: false }), [9, 8, 5, 4]);
  assert.deepEqual(mergeNewest(at, { items: [9, 5], whole: false }, { items: [8, 4], whole: false }), [9, 8, 5]);
  assert.deepEqual(mergeNewest(at, { items: [9, 5], whole: true }, { items: [], whole: false }), []);
  assert.deepEqual(mergeNewest(at, { items: [9, 5], whole: false }, { items: [], whole: true }), [9, 5]);
});

const deployment = (id: string, state = "succeeded", batch_id: string | null = null) => ({
  id,
  state,
  batch_id,
  host: "192.0.2.1",
  name: "web-1",
  created_by: "ada",
});

test("deployments of one request are one row", () => {
  const rows = foldDeployments([deployment("a", "succeeded", "x"), deployment("b"), deployment("c", "failed", "x")]);
  assert.deepEqual(
    rows.map((row) => row.map(({ id }) => id)),
    [["a", "c"], ["b"]],
  );
});

test("the filters of the list include deployments", () => {
  const fits = (filter: Partial<Parameters<typeof deploymentFits>[1]>, state = "succeeded") =>
    deploymentFits(deployment("a", state), { state: "", search: "", by: "", ...filter });
  for (const yes of [
    fits({}),
    fits({ state: "done" }),
    fits({ state: "open" }, "awaiting_host_key"),
    fits({ search: "WEB" }),
    fits({ search: "192.0" }),
    fits({ by: "ada" }),
  ])
    assert.ok(yes);
  for (const no of [fits({ state: "failed" }), fits({ search: "db" }), fits({ by: "eve" })]) assert.ok(!no);
});
