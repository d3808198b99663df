import assert from "node:assert/strict";
import { test } from "node:test";
import { hasFollowUp, outcomeGlyph, outcomeLabel, rebootNeed } from "./follow-up";

const NOTHING = { reboot: "no", services: [], failed_units: [], config_files: [], notes: [] } as const;

const node = (booted_at: number, reboot_required: "yes" | "no" | "unknown" = "yes") => ({ reboot_required, identity: { booted_at } });

test("a reboot is due until the server has booted after the job, or needs none", () => {
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, node(900)), "due");
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, node(0, "unknown")), "due");
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, undefined), "due");
  assert.equal(rebootNeed({ reboot: "yes" }, null, node(2000, "no")), "due");
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, node(1060)), "since");
  assert.equal(rebootNeed({ reboot: "yes" }, 1000, node(900, "no")), "past");
  assert.equal(rebootNeed({ reboot: "unknown" }, 1000, node(1060)), "unknown");
});

test("the outcome names a reboot that is due, or that something did not come back", () => {
  const done = { state: "succeeded", lost: false };
  assert.equal(outcomeLabel(done, "due"), "Succeeded, reboot needed");
  assert.equal(outcomeLabel(done, "since"), "Succeeded");
  assert.equal(outcomeLabel({ ...done, lost: true }), "Succeeded, not everything came back");
  assert.deepEqual(
    [outcomeGlyph(done), outcomeGlyph({ ...done, lost: true }), outcomeGlyph({ state: "failed", lost: true })],
    ["done", "warn", "fail"],
  );
});

test("a report without findings has no follow-up", () => {
  assert.equal(hasFollowUp(NOTHING), false);
  assert.equal(hasFollowUp({ ...NOTHING, notes: ["Back as before."] }), true);
  assert.equal(hasFollowUp({ ...NOTHING, reboot: "unknown" }), true);
});
