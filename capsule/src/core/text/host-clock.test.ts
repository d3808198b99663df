import assert from "node:assert/strict";
import { test } from "node:test";
import { hostClock } from "./host-clock";

const AT = Date.UTC(2026, 10, 20, 12, 0, 5) / 1000;

test("a server's clock is shown only where it differs", () => {
  assert.equal(hostClock(AT, "America/New_York", "Europe/Berlin"), "07:00:05 America/New York");
  assert.equal(hostClock(AT, "Europe/Paris", "Europe/Berlin"), "");
  assert.equal(hostClock(AT, "", "Europe/Berlin"), "");
  assert.equal(hostClock(AT, "Mars/Olympus", "Europe/Berlin"), "");
});
