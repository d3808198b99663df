import assert from "node:assert/strict";
import { test } from "node:test";
import { revisionText } from "./revision";

test("revision and generation are shown as far as they are known", () => {
  const text = (revision: string, generation: number | null): string => revisionText({ revision, generation });
  assert.equal(text("1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d", 42), "1a2b3c4d #42");
  assert.equal(text("1a2b3c4d5e6f-dirty", null), "1a2b3c4d-dirty");
  assert.equal(text("", 7), "#7");
  assert.equal(text("", null), "");
});
