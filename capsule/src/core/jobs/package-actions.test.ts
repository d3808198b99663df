import assert from "node:assert/strict";
import { test } from "node:test";
import { decimalSize } from "../text/units";
import { phaseLabel } from "./job-labels";
import {
  canLeaveOut,
  isPlanned,
  skippedNodes,
  mayForce,
  splitNames,
  packagesLabel,
  planChips,
  remainingUpgrades,
  stopStatusText,
  wantsPackages,
} from "./package-actions";

test("names may be separated by blanks, commas and line breaks, each once", () => {
  assert.deepEqual(splitNames(" curl, nginx\ncurl  g++ "), ["curl", "nginx", "g++"]);
  assert.deepEqual(splitNames(" ,\n "), []);
});

test("a plan is shown as a few chips, the most urgent first", () => {
  const plan = { counts: { upgrades: 1, new: 0, removals: 2, security: 1, kept: 0 }, reboot: "yes", download_bytes: 48_000_000 };
  assert.deepEqual(planChips(plan), [
    ["reboot", "reboot expected"],
    ["security", "1 for security"],
    ["removal", "2 removals"],
    ["change", "1 upgrade"],
    ["size", `${decimalSize(48_000_000)} to download`],
  ]);
  assert.deepEqual(planChips({ counts: { upgrades: 0, new: 0, removals: 0, security: 0, kept: 3 }, reboot: "yes", download_bytes: null }), [
    ["change", "Nothing to do"],
    ["kept", "3 kept back"],
  ]);
});

test("the remaining upgrades of a plan lack the packages that the user left out", () => {
  const step = (name: string, from: string, to: string): { package: string; from: string; to: string } => ({ package: name, from, to });
  const steps = [step("curl", "1", "2"), step("nginx", "1", "2"), step("new", "", "1"), step("gone", "1", "")];
  assert.deepEqual(remainingUpgrades(steps, new Set(["nginx"])), ["curl"]);
  const counts = { upgrades: 2, new: 1, removals: 0, security: 0, kept: 0 };
  const plan = { counts, reboot: "no", download_bytes: null };
  for (const action of ["upgrade", "security-upgrade", "full-upgrade"]) assert.equal(canLeaveOut(action, plan), true, action);
  const removing = { ...plan, counts: { ...counts, removals: 1 } };
  assert.equal(canLeaveOut("full-upgrade", removing), false);
  assert.equal(canLeaveOut("upgrade", removing), true);
  assert.equal(canLeaveOut("hold", plan), false);
});

test("the status of a stop request has its reason", () => {
  const job = { stop: { state: "too_late", why: "rpm has begun", why_coded: null } } as const;
  assert.equal(stopStatusText(job), "The job can no longer be stopped: rpm has begun");
  assert.equal(stopStatusText({ stop: null }), "");
});

test("only some verbs have a plan, and only some verbs need names of packages", () => {
  assert.equal(isPlanned("remove"), true);
  assert.equal(isPlanned("reboot"), false);
  assert.equal(wantsPackages("hold"), true);
  assert.equal(wantsPackages("upgrade"), false);
});

test("force is offered once, after the server has answered that it cannot stop immediately", () => {
  const stop = { why: "", why_coded: null, force: false };
  assert.equal(mayForce({ stop: null }), false);
  assert.equal(mayForce({ stop: { ...stop, state: "asked" } }), false);
  assert.equal(mayForce({ stop: { ...stop, state: "now" } }), false);
  assert.equal(mayForce({ stop: { ...stop, state: "too_late" } }), true);
  assert.equal(mayForce({ stop: { ...stop, state: "after_package" } }), true);
  assert.equal(mayForce({ stop: { ...stop, state: "too_late", force: true } }), false);
});

test("the phase of a change is named after its action", () => {
  const words = (actions: string[]): string[] => actions.map((action) => phaseLabel("commit", action));
  assert.deepEqual(words(["upgrade", "full-upgrade", "security-upgrade", "install", "update"]), Array(5).fill("installing"));
  assert.deepEqual(words(["remove", "autoremove"]), ["removing", "removing"]);
  assert.deepEqual(words(["hold", "unhold", "clean", "repair", "rekey"]), Array(5).fill("working"));
  assert.equal(phaseLabel("commit", "reboot"), "rebooting");
  assert.equal(phaseLabel("download", "remove"), "downloading");
});

test("only upgrades are labelled with all packages", () => {
  for (const action of ["upgrade", "full-upgrade", "security-upgrade"]) {
    assert.equal(packagesLabel({ action, packages: [] }), "All packages");
    assert.equal(packagesLabel({ action: "plan", for: action, packages: [] }), "All packages");
  }
  for (const action of ["reboot", "refresh", "check", "repair", "autoremove", "clean", "rekey"])
    assert.equal(packagesLabel({ action, for: null, packages: [] }), "", action);
  assert.equal(packagesLabel({ action: "plan", for: "autoremove", packages: [] }), "");
  assert.equal(packagesLabel({ action: "install", packages: ["curl", "jq"] }), "curl, jq");
});

test("nodes without a plan are listed by reason, and waited for only while they can answer", () => {
  const job = (node_id: string, state: string): { node_id: string; state: string } => ({ node_id, state });
  const jobs = [
    job("a", "succeeded"),
    job("b", "queued"),
    job("c", "running"),
    job("d", "queued"),
    job("e", "expired"),
    job("f", "succeeded"),
  ];
  const left = skippedNodes({ jobs }, new Set(["a"]), (node) => node !== "b");
  assert.deepEqual(
    [...left],
    [
      ["away", ["b"]],
      ["planning", ["c", "d"]],
      ["silent", ["e", "f"]],
    ],
  );
  const early = skippedNodes({ jobs: [job("a", "running")] }, new Set(["a"]), () => true);
  assert.deepEqual([...early], [["reading", ["a"]]], "its plan is known, and its job has not ended");
  assert.equal(skippedNodes({ jobs: [job("a", "succeeded")] }, new Set(["a"]), () => false).size, 0);
});
