import assert from "node:assert/strict";
import { test } from "node:test";
import {
  batchOutcome,
  compareJobs,
  consequence,
  countGroups,
  groupsText,
  jobGroupOf,
  isDangerous,
  policyRefusal,
  listSome,
  countJobs,
  nodesOf,
  nodesToReboot,
  restartsText,
} from "./batch";

test("jobs are counted by group", () => {
  const jobs = ["queued", "running", "succeeded", "failed", "interrupted", "unknown", "cancelled", "expired"].map((state) => ({ state }));
  assert.deepEqual(countJobs(jobs), { failed: 3, open: 2, done: 1, other: 2 });
  assert.deepEqual(countJobs([]), { failed: 0, open: 0, done: 0, other: 0 });
  assert.equal(jobGroupOf("dispatched"), "open");
});

test("counts of states are shown by group, problems first", () => {
  assert.equal(groupsText(countGroups({ succeeded: 31, failed: 1, interrupted: 1 })), "2 with problems, 31 succeeded");
  assert.equal(groupsText(countGroups({})), "");
  assert.equal(groupsText(countGroups({ succeeded: 31, failed: 1, interrupted: 1 }, "failed")), "2 with problems");
});

test("a server’s policy excludes it, and an unknown policy refuses nothing", () => {
  assert.equal(policyRefusal(null, "upgrade"), "");
  assert.match(policyRefusal({ mode: "monitor", verbs: [] }, "check"), /allows monitoring only/);
  assert.match(policyRefusal({ mode: "managed", verbs: ["check"] }, "upgrade"), /does not allow “Upgrade packages” \(verb upgrade\)\./);
  assert.equal(policyRefusal({ mode: "managed", verbs: ["package.upgrade"] }, "upgrade"), "");
  assert.equal(policyRefusal({ mode: "managed", verbs: ["*"] }, "reboot"), "");
  assert.equal(policyRefusal({ mode: "managed", verbs: ["check"] }), "");
  assert.match(policyRefusal({ mode: "readonly", verbs: [] }, "upgrade"), /mode = readonly/);
  assert.equal(policyRefusal({ mode: "readonly", verbs: [] }, "check"), "");
  assert.match(policyRefusal({ mode: "invalid", verbs: [] }), /not valid/);
  // New keys: a managed server does not report whether it allows them, and other servers may allow nothing else.
  assert.equal(policyRefusal({ mode: "managed", verbs: ["check"] }, "rekey"), "");
  assert.equal(policyRefusal({ mode: "monitor", verbs: ["rekey"] }, "rekey"), "");
  assert.match(policyRefusal({ mode: "readonly", verbs: ["check"] }, "rekey"), /mode = readonly/);
});

test("a dangerous action states its consequence with the number", () => {
  assert.equal(isDangerous("reboot") && isDangerous("remove") && isDangerous("autoremove"), true);
  assert.equal(isDangerous("upgrade"), false);
  assert.match(consequence("reboot", 31), /^31 servers reboot\./);
  assert.match(consequence("reboot", 1), /^1 server reboots\./);
  assert.match(consequence("remove", 2), /from 2 servers/);
  assert.equal(consequence("check", 31), "");
});

test("any number of names fits in one line", () => {
  assert.equal(listSome(["a", "b", "c", "d"]), "a, b, c, d");
  assert.equal(listSome(["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
});

test("a batch that has ended names the nodes to reboot", () => {
  const jobs = ["a", "b"].map((node_id) => ({ node_id, state: "succeeded" }));
  const required = (node: string): string => (node === "a" ? "yes" : "no");
  assert.deepEqual(nodesToReboot({ action: "upgrade", jobs }, required), ["a"]);
  assert.deepEqual(nodesToReboot({ action: "reboot", jobs }, required), []);
  assert.deepEqual(nodesToReboot({ action: "upgrade", jobs: [...jobs, { node_id: "c", state: "running" }] }, required), []);
});

test("services that plans will probably restart are counted, the most common first", () => {
  const plans = [["ssh", "nginx"], ["nginx"], [], ["cron"]].map((restarts) => ({ restarts }));
  assert.equal(restartsText(plans), "nginx on 2 servers, cron on 1 server, ssh on 1 server");
  assert.equal(restartsText(plans, 1), "nginx on 2 servers and 2 more");
  assert.equal(restartsText([]), "");
});

test("the outcome of a batch is a sentence, and failed and running jobs come first", () => {
  const counts = { failed: 0, open: 0, done: 24, other: 0 };
  assert.equal(batchOutcome(counts, 8), "24 of 24 succeeded, 8 need a reboot");
  assert.equal(batchOutcome({ ...counts, done: 22, failed: 2 }, 1), "22 of 24 succeeded, 2 with problems, 1 needs a reboot");
  assert.equal(batchOutcome({ ...counts, done: 3, open: 21 }, 0), "3 of 24 succeeded so far");
  assert.equal(batchOutcome({ ...counts, done: 3 }, 0, 1), "3 of 3 succeeded, 1 left out");
  assert.equal(batchOutcome({ ...counts, done: 0 }, 0), "Nothing was started");
  assert.deepEqual([nodesOf(3, 4), nodesOf(4, 4)], ["3 of 4\u00a0nodes", "4\u00a0nodes"]);
  const jobs = ["succeeded", "queued", "running", "failed", "cancelled", "interrupted"].map((state, index) => ({
    state,
    name: `n${9 - index}`,
  }));
  const sorted = jobs.sort((a, b) => compareJobs(a, b, new Intl.Collator("en", { numeric: true })));
  assert.deepEqual(
    sorted.map(({ state }) => state),
    ["interrupted", "failed", "running", "queued", "succeeded", "cancelled"],
  );
});
