import assert from "node:assert/strict";
import { test } from "node:test";
import { foldRows, jobRows, rowKey } from "./job-rows";

test("jobs of one batch are one row, at the position of the first job", () => {
  const job = (id: string, batch_id: string | null): { id: string; batch_id: string | null } => ({ id, batch_id });
  const rows = jobRows([job("a", null), job("b", "x"), job("c", null), job("d", "x"), job("e", "gone")], [{ id: "x" }]);
  assert.deepEqual(foldRows(rows).map(rowKey), ["a", "x", "c", "e"]);
  assert.equal(foldRows(rows)[1]?.job.id, "b");
});
