import assert from "node:assert/strict";
import { test } from "node:test";
import { labelled, parseSeries } from "./series";

test("series are read with and without a label", () => {
  assert.deepEqual(parseSeries("filesystem.used{mount=/var/lib}"), { metric: "filesystem.used", label: "mount", value: "/var/lib" });
  assert.deepEqual(parseSeries("load.1"), { metric: "load.1", label: "", value: "" });
  assert.equal(parseSeries("nonsense{"), null);
  assert.deepEqual([...labelled({ "cpu.core{core=0}": { value: 1, at: 1 }, "cpu.cores": { value: 1, at: 1 } }, "cpu.core").keys()], ["0"]);
});
