import assert from "node:assert/strict";
import { test } from "node:test";
import { findUnconfirmedJob } from "./unconfirmed-jobs";

test("an unanswered request matches only a new, later job with its action, user and node", () => {
  const job = { id: "j2", action: "upgrade", node_id: "n1", created_by: "ada", created_at: 100.2 };
  const sent = { action: "upgrade", nodes: ["n0", "n1"], by: "ada", at: 100, known: new Set(["j1"]) };
  assert.equal(findUnconfirmedJob([{ ...job, node_id: "n2" }, job], sent), job);
  for (const other of [{ id: "j1" }, { action: "refresh" }, { node_id: "n2" }, { created_by: "bob" }, { created_at: 60 }])
    assert.equal(findUnconfirmedJob([{ ...job, ...other }], sent), undefined);
});
