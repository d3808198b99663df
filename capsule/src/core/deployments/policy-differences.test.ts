import assert from "node:assert/strict";
import { test } from "node:test";
import { digestsOf, policyDifferences } from "./policy-differences";

const row = (node_id: string, current: string, digest: string, state = "failed", outcome = "differs") => ({
  node_id,
  state,
  policy_found: { outcome, current, wanted: "mode = managed\n", digest },
});

test("servers with the same two texts are one difference, the largest group first", () => {
  const rows = [row("a", "x", "1"), row("b", "y", "2"), row("c", "y", "2")];
  assert.deepEqual(
    policyDifferences(rows).map(({ current, rows: of }) => [current, of.map(({ node_id }) => node_id)]),
    [
      ["y", ["b", "c"]],
      ["x", ["a"]],
    ],
  );
  assert.deepEqual(digestsOf(rows), { a: "1", b: "2", c: "2" });
});

test("a file that the hub cannot read, a written one and a running deployment offer nothing to confirm", () => {
  const rows = [
    row("a", "", ""),
    row("b", "x", "1", "succeeded", "written"),
    row("c", "x", "1", "running"),
    { node_id: "d", state: "failed", policy_found: null },
  ];
  assert.deepEqual(policyDifferences(rows), []);
});
