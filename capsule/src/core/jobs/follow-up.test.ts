import assert from "node:assert/strict";
import { test } from "node:test";
import { hasFollowUp, outcomeLabel, rebootNeed } from "./follow-up";

const NOTHING = { reboot: "no", services: [], failed_units: [], config_files: [], notes: [] } as const;

test("a reboot is due until the server has booted after the job", () => {
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, 900), "due");
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, 0), "due");
  assert.equal(rebootNeed({ reboot: "yes" }, null, 2000), "due");
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, 1060), "since");
  assert.equal(rebootNeed({ reboot: "unknown" }, 1000, 1060), "unknown");
});

test("the outcome names a reboot that is due", () => {
  assert.equal(outcomeLabel("succeeded", "due"), "Succeeded, reboot needed");
  assert.equal(outcomeLabel("succeeded", "since"), "Succeeded");
});

test("a report without findings has no follow-up", () => {
  assert.equal(hasFollowUp(NOTHING), false);
  assert.equal(hasFollowUp({ ...NOTHING, notes: ["Back as before."] }), true);
  assert.equal(hasFollowUp({ ...NOTHING, reboot: "unknown" }), true);
});
