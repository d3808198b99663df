import assert from "node:assert/strict";
import { test } from "node:test";
import { clockThere } from "./zone";

const AT = Date.UTC(2026, 10, 20, 12, 0, 5) / 1000;

test("a server's clock is told where it differs, and only there", () => {
  assert.equal(clockThere(AT, "America/New_York", "Europe/Berlin"), "07:00:05 America/New York");
  assert.equal(clockThere(AT, "Europe/Paris", "Europe/Berlin"), "");
  assert.equal(clockThere(AT, "", "Europe/Berlin"), "");
  assert.equal(clockThere(AT, "Mars/Olympus", "Europe/Berlin"), "");
});
