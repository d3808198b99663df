import assert from "node:assert/strict";
import { test } from "node:test";
import { hasFollowUp, outcomeLabel, outcomeOf, rebootNeed } from "./follow-up";

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

test("the outcome names a reboot that is due", () => {
  assert.equal(outcomeLabel("succeeded", "due"), "Succeeded, reboot needed");
  assert.equal(outcomeLabel("succeeded", "since"), "Succeeded");
});

test("the outcome of a reboot says that something did not come back", () => {
  const note = (code: string) => ({ code, template: "", facts: {} });
  assert.equal(outcomeOf({ notes_coded: [null, note("reboot.same")] }, "no"), "no");
  const outcome = outcomeOf({ notes_coded: [null, note("reboot.mounts")] }, "due");
  assert.equal(outcomeLabel("succeeded", outcome), "Succeeded, not everything came back");
});

test("a report without findings has no follow-up", () => {
  assert.equal(hasFollowUp(NOTHING), false);
  assert.equal(hasFollowUp({ ...NOTHING, notes: ["Back as before."] }), true);
  assert.equal(hasFollowUp({ ...NOTHING, reboot: "unknown" }), true);
});
