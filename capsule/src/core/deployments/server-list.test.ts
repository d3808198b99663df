import assert from "node:assert/strict";
import { test } from "node:test";
import { addressText, pendingHostKeys, serverGroupOf, splitRows, countServers } from "./server-list";

const key = (fingerprint: string, host: string, port = 22): { type: string; fingerprint: string; host: string; port: number } => ({
  type: "ssh-ed25519",
  fingerprint,
  host,
  port,
});

test("valid rows, other rows and rows without a user are counted", () => {
  const rows = [
    { username: "root", problems: [] },
    { username: null, problems: [] },
    { username: null, problems: ["x"] },
  ];
  assert.deepEqual(splitRows(rows, " "), { good: rows.slice(0, 2), bad: 1, nameless: 1 });
  assert.equal(splitRows(rows, "ops").nameless, 0);
});

test("an address is written as it is typed", () => {
  assert.equal(addressText({ host: "web-1", port: 22 }), "web-1");
  assert.equal(addressText({ host: "2001:db8::1", port: 2222, username: "ops" }), "ops@[2001:db8::1]:2222");
});

test("a jump host’s fingerprint is shown once for all servers that are reached through it", () => {
  const asks = { port: 22, state: "awaiting_host_key" };
  const rows = [
    { ...asks, id: "1", host: "a", name: "a", host_key: key("f1", "a") },
    { ...asks, id: "2", host: "b", name: "two", host_key: key("g", "gate") },
    { ...asks, id: "3", host: "c", name: "c", host_key: key("g", "gate") },
    { ...asks, id: "4", host: "d", name: "d", host_key: key("other", "gate") },
    { ...asks, id: "5", host: "e", name: "e", state: "running", host_key: key("f5", "e") },
  ];
  const found = pendingHostKeys(rows);
  assert.deepEqual(
    found.map((one) => [one.where, one.jump, one.ids]),
    [
      ["gate", true, ["2", "3"]],
      ["gate", true, ["4"]],
      ["a", false, ["1"]],
    ],
  );
});

test("a jump host with the server’s name is distinguished by its port", () => {
  const asks = { id: "1", host: "gw", name: "gw", port: 2222, state: "awaiting_host_key" };
  const seen = [22, 2222].map((port) =>
    pendingHostKeys([{ ...asks, host_key: key("f", "gw", port) }]).map(({ where, jump }) => [where, jump]),
  );
  assert.deepEqual(seen, [[["gw", true]], [["gw:2222", false]]]);
});

test("every state has a group", () => {
  assert.deepEqual(["running", "awaiting_host_key", "succeeded", "failed", "cancelled"].map(serverGroupOf), [
    "open",
    "asks",
    "done",
    "failed",
    "other",
  ]);
  assert.equal(countServers([{ state: "failed" }, { state: "failed" }]).failed, 2);
});
