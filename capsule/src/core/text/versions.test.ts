import assert from "node:assert/strict";
import { test } from "node:test";
import { newestFirst } from "./versions";

test("the newest version comes first in any input order, and each once", () => {
  assert.deepEqual(newestFirst(["6.5.1-1", "6.5.2-1"]), ["6.5.2-1", "6.5.1-1"]);
  assert.deepEqual(newestFirst(["6.4.2-1", "6.4.1-1", "6.4.2-1"]), ["6.4.2-1", "6.4.1-1"]);
  assert.deepEqual(newestFirst(["1.9", "1.10", "1.2.1"]), ["1.10", "1.9", "1.2.1"]);
  assert.deepEqual(newestFirst([]), []);
});

test("an epoch sorts above all others, and a pre-release below its release", () => {
  assert.deepEqual(newestFirst(["9.0", "1:2.0"]), ["1:2.0", "9.0"]);
  assert.deepEqual(newestFirst(["1.0~rc1", "1.0", "1.0~rc2", "1.0-1"]), ["1.0-1", "1.0", "1.0~rc2", "1.0~rc1"]);
});
