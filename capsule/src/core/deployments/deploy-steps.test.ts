import assert from "node:assert/strict";
import { test } from "node:test";
import {
  deploymentLabel,
  deploymentStatusText,
  dialogTitle,
  fixFor,
  leftoverText,
  stepTitle,
  workedSeconds,
  workedStep,
} from "./deploy-steps";

const step = (name: string, state: string) => ({ name, state });
const one = {
  kind: "install" as const,
  state: "running",
  again: false,
  error: null,
  steps: [step("connect", "done"), step("host_key", "running"), step("probe", "waiting")],
};

test("a deployment shows its request and its status", () => {
  assert.equal(deploymentLabel(one), "Add server");
  assert.equal(deploymentLabel({ ...one, again: true }), "Deploy again");
  assert.equal(deploymentLabel({ ...one, kind: "remove" }), "Remove server");
  assert.equal(deploymentStatusText(one), "Check the host key");
  assert.equal(deploymentStatusText({ ...one, steps: [step("connect", "waiting")] }), "Waiting for its turn");
  assert.equal(deploymentStatusText({ ...one, state: "failed", error: { message: "no route" } }), "no route");
  assert.equal(deploymentStatusText({ ...one, state: "succeeded" }), "Connected");
});

test("a server that nobody reached was forgotten, not removed", () => {
  const removal = { ...one, kind: "remove" as const, state: "succeeded" };
  assert.equal(deploymentStatusText({ ...removal, steps: [step("uninstall", "done"), step("verify", "done")] }), "Removed");
  assert.match(deploymentStatusText({ ...removal, steps: [step("uninstall", "skipped"), step("verify", "skipped")] }), /^Forgotten/);
});

test("a dialog title names the action, and calls a node live only while it is online", () => {
  const done = { ...one, state: "succeeded" };
  assert.equal(dialogTitle(done, "db-01", true), "db-01 is live");
  assert.equal(dialogTitle(done, "db-01", false), "db-01 was added");
  assert.equal(dialogTitle({ ...done, again: true }, "db-01", false), "db-01 was deployed again");
  const update = { ...one, kind: "update" as const };
  assert.equal(dialogTitle(update, "db-01", true), "Updating the agent on db-01");
  assert.equal(dialogTitle({ ...update, state: "failed" }, "db-01", true), "Could not update the agent on db-01");
  assert.equal(dialogTitle({ ...update, state: "succeeded" }, "db-01", true), "The agent on db-01 was updated");
  assert.equal(stepTitle("install", "update"), "Install the new agent");
});

test("the clock of a deployment leaves out the time in which a person read, and earlier tries", () => {
  const timed = (started_at: number | null, ended_at: number | null, waited_s = 0) => ({ started_at, ended_at, waited_s });
  const steps = [timed(160, 162), timed(162, 463, 300), timed(463, null), timed(null, null)];
  assert.deepEqual(
    steps.map((step) => workedStep(step, "running", 470)),
    [2, 1, 7, null],
  );
  assert.equal(workedSeconds({ steps, state: "running" }, 470), 10);
  const asked = [timed(160, 162), timed(162, null), timed(null, null)];
  assert.equal(workedSeconds({ steps: asked, state: "awaiting_host_key" }, 700), 2);
  assert.equal(workedSeconds({ steps: [timed(null, null)], state: "running" }, 700), null);
});

test("a failure that one field fixes names the field", () => {
  assert.equal(fixFor("sudo_password_wrong"), "sudo_password");
  assert.equal(fixFor("key_encrypted"), "passphrase");
  assert.equal(fixFor("port_closed"), "port");
  assert.equal(fixFor("no_session"), null);
});

test("leftovers of a failed installation are reported only if its steps prove them", () => {
  const ended = (code: string, ...steps: [string, string, string?][]): string =>
    leftoverText({ error: code ? { code } : null, steps: steps.map(([name, state, detail = ""]) => ({ name, state, detail })) });
  const back = "everything was taken back: the server is as before";
  assert.match(ended("no_sudo", ["connect", "done", "192.0.2.1"], ["become_root", "failed"], ["probe", "skipped"]), /changed nothing/);
  assert.match(ended("no_space", ["become_root", "done"], ["probe", "failed"], ["upload", "skipped"]), /changed nothing/);
  assert.match(ended("", ["connect", "failed"], ["upload", "skipped"]), /changed nothing/);
  assert.match(ended("start_failed", ["install", "done"], ["start", "failed", back]), /has been undone/);
  assert.match(ended("python3_install_failed", ["probe", "failed", back]), /has been undone/);
  assert.equal(ended("hub_stopped", ["connect", "failed"]), "");
  assert.equal(ended("hub_stopped", ["install", "failed"]), "");
  assert.equal(ended("uninstall_failed", ["probe", "failed", "removing the rest of an earlier installation"]), "");
  assert.equal(ended("connection_lost", ["probe", "done"], ["upload", "failed"]), "");
});
