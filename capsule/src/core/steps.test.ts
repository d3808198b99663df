import assert from "node:assert/strict";
import { test } from "node:test";
import { beganAt, deploymentStanding, deploymentWord, dialogTitle, stepTitle } from "./steps";

const step = (name: string, state: string) => ({ name, state });
const one = { kind: "install" as const, state: "running", again: false, error: null, steps: [step("connect", "done"), step("host_key", "running"), step("probe", "waiting")] };

test("a deployment says what was asked for and where it stands", () => {
  assert.equal(deploymentWord(one), "Add server");
  assert.equal(deploymentWord({ ...one, again: true }), "Deploy again");
  assert.equal(deploymentWord({ ...one, kind: "remove" }), "Remove server");
  assert.equal(deploymentStanding(one), "Check the host key");
  assert.equal(deploymentStanding({ ...one, steps: [step("connect", "waiting")] }), "Waiting for its turn");
  assert.equal(deploymentStanding({ ...one, state: "failed", error: { message: "no route" } }), "no route");
  assert.equal(deploymentStanding({ ...one, state: "succeeded" }), "Connected");
});

test("a server that nobody reached was forgotten, not removed", () => {
  const removal = { ...one, kind: "remove" as const, state: "succeeded" };
  assert.equal(deploymentStanding({ ...removal, steps: [step("uninstall", "done"), step("verify", "done")] }), "Removed");
  assert.match(deploymentStanding({ ...removal, steps: [step("uninstall", "skipped"), step("verify", "skipped")] }), /^Forgotten/);
});

test("a dialog is called by what was done, and a node live only while it is", () => {
  const done = { ...one, state: "succeeded" };
  assert.equal(dialogTitle(done, "db-01", true), "db-01 is live");
  assert.equal(dialogTitle(done, "db-01", false), "db-01 was added");
  assert.equal(dialogTitle({ ...done, again: true }, "db-01", false), "db-01 was deployed again");
  const update = { ...one, kind: "update" as const };
  assert.equal(dialogTitle(update, "db-01", true), "Updating Spider on db-01");
  assert.equal(dialogTitle({ ...update, state: "failed" }, "db-01", true), "Could not update Spider on db-01");
  assert.equal(dialogTitle({ ...update, state: "succeeded" }, "db-01", true), "Spider on db-01 was updated");
  assert.equal(stepTitle("install", "update"), "Install the new agent");
});

test("a try that is not the first is timed from its own beginning", () => {
  assert.equal(beganAt({ created_at: 100, steps: [{ started_at: 160 }, { started_at: null }] }), 160);
  assert.equal(beganAt({ created_at: 100, steps: [{ started_at: null }] }), 100);
  assert.equal(beganAt({ created_at: 100, steps: [] }), 100);
});
