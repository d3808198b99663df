import assert from "node:assert/strict";
import { test } from "node:test";
import { deploymentStanding, deploymentWord } from "./steps";

const step = (name: string, state: string) => ({ name, state });
const one = { kind: "install" as const, state: "running", again: false, error: null, steps: [step("connect", "done"), step("host_key", "running"), step("probe", "waiting")] };

test("a deployment says what was asked for and where it stands", () => {
  assert.equal(deploymentWord(one), "Add server");
  assert.equal(deploymentWord({ ...one, again: true }), "Deploy again");
  assert.equal(deploymentWord({ ...one, kind: "remove" }), "Remove server");
  assert.equal(deploymentStanding(one), "Check the host key");
  assert.equal(deploymentStanding({ ...one, steps: [step("connect", "waiting")] }), "Waits for its turn");
  assert.equal(deploymentStanding({ ...one, state: "failed", error: { message: "no route" } }), "no route");
  assert.equal(deploymentStanding({ ...one, state: "succeeded" }), "Connected");
});

test("a server that nobody reached was forgotten, not removed", () => {
  const removal = { ...one, kind: "remove" as const, state: "succeeded" };
  assert.equal(deploymentStanding({ ...removal, steps: [step("uninstall", "done"), step("verify", "done")] }), "Removed");
  assert.match(deploymentStanding({ ...removal, steps: [step("uninstall", "skipped"), step("verify", "skipped")] }), /^Forgotten/);
});
