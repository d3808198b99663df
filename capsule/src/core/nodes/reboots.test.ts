import assert from "node:assert/strict";
import { test } from "node:test";
import { rebootEvidence, rebootLosses, rebootNeed, rebootVerdict } from "./reboots";

const KEPT = {
  verdict: "kept" as const,
  words: "",
  needed: "yes" as const,
  need: "kernel 6.1.0-30 is installed, but 6.1.0-28 is running",
  boot_from: "a".repeat(32),
  boot_to: "b".repeat(32),
  away_s: 42,
  kernel_from: "6.1.0-28",
  kernel_to: "6.1.0-30",
};

test("a reboot says why it was due, how it ended, and by what evidence", () => {
  assert.equal(rebootVerdict(KEPT), "Came back as it was");
  assert.equal(rebootNeed(KEPT), "Needed: kernel 6.1.0-30 is installed, but 6.1.0-28 is running.");
  assert.equal(rebootEvidence(KEPT), "Up again after 42\u00a0s · kernel 6.1.0-28 → 6.1.0-30 · boot aaaaaaaa → bbbbbbbb");
  assert.match(rebootEvidence({ ...KEPT, kernel_to: "6.1.0-28" }), /kernel 6\.1\.0-28, as before/);
  assert.equal(rebootNeed({ ...KEPT, needed: "no", need: "only removals" }), "Not needed: only removals.");
});

test("what is not known is left out, and an end without a reboot keeps its reason", () => {
  const old = {
    ...KEPT,
    needed: "unknown" as const,
    need: "",
    boot_from: null,
    boot_to: null,
    away_s: null,
    kernel_from: null,
    kernel_to: null,
  };
  assert.deepEqual([rebootNeed(old), rebootEvidence(old)], ["", ""]);
  assert.equal(rebootNeed({ ...old, need: "no answer" }), "Not known whether it was needed: no answer.");
  assert.equal(
    rebootVerdict({ ...old, verdict: "not_rebooted", words: "a program prevents the reboot: backup" }),
    "Not rebooted: a program prevents the reboot: backup",
  );
  assert.equal(rebootVerdict({ ...KEPT, verdict: "broken", words: "something is missing since" }), "Came back, and something is missing");
  assert.equal(rebootVerdict({ ...old, verdict: "overdue" }), "Overdue: it has not come back");
});

test("losses are the notes that name what did not come back", () => {
  const notes = [
    "As before the reboot: services 4, ports 2, file systems 1.",
    "The kernel was 1 before the reboot and is 2 now.",
    "Services that ran before the reboot and do not now: worker.service.",
    "Units that failed since the reboot: x.service.",
  ];
  assert.deepEqual(rebootLosses(notes), notes.slice(2));
});
