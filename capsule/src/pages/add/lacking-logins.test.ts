import assert from "node:assert/strict";
import { test } from "node:test";
import { deniedLogins, lackingJumps, refusedLogins } from "./lacking-logins";

const gate = { host: "gate", port: 2222, username: "ops", fingerprint: null };
const row = (id: string, jump: typeof gate | null, code = "hub_stopped", at_jump_host = false) => ({
  id,
  jump,
  error: { code, message: "", step: "", at_jump_host },
});
const refused = (deployment: string, code: string) => ({ deployment, code, message: "" });

test("each server says what it lacks, and each jump host is asked for once", () => {
  const rows = [row("a", gate, "password_rejected"), row("b", gate, "key_rejected", true), row("c", gate), row("d", null), row("e", null)];
  const denied = deniedLogins(rows);
  assert.deepEqual(
    denied.map(({ row: { id }, server, jump }) => [id, server, jump]),
    [
      ["a", true, false],
      ["b", false, true],
    ],
  );
  const others = rows.slice(2).map((one) => ({ row: one }));
  const found = refusedLogins(others, [
    refused("c", "deployment.jump_credentials_required"),
    refused("d", "credentials_required"),
    refused("e", "conflict"),
  ]);
  assert.deepEqual(
    found.map(({ row: { id }, server, jump }) => [id, server, jump]),
    [
      ["c", true, true],
      ["d", true, false],
    ],
  );
  assert.deepEqual(
    lackingJumps([...denied, ...found]).map(({ host, port, username }) => [host, port, username]),
    [["gate", "2222", "ops"]],
  );
  assert.deepEqual(lackingJumps(denied.slice(0, 1)), [], "its server refused the log-in, not the jump host");
});

test("what was entered for the jump host is sent again if the hub then asks for the server", () => {
  const denied = deniedLogins([row("b", gate, "key_rejected", true)]);
  assert.deepEqual(refusedLogins(denied, [refused("b", "credentials_required")]), [{ ...denied[0], server: true, jump: true }]);
});
