import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { codeDigits, detailText, deviceName, grantsLabel, groupSecret, recoveryText, rolesUpTo } from "./account-labels";
import {
  auditCsv,
  auditDetail,
  matchesAuditFilter,
  auditNames,
  auditOutcome,
  auditLabel,
  foldAudit,
  orderedBy,
  subjectName,
} from "./audit";
import { checkBytes, qrCode, qrPath } from "./qr-code";

const URI = "otpauth://totp/Stardust:admin?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Stardust&algorithm=SHA1&digits=6&period=30";
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const lines = (text: string): string[] => (qrCode(bytes(text)) ?? []).map((row) => row.map((dark) => (dark ? "1" : "0")).join(""));

test("the check bytes of a QR code equal those of the example in the standard", () => {
  // "01234567" as a version 1-M symbol, ISO/IEC 18004 annex I
  assert.deepEqual(
    checkBytes([16, 32, 12, 86, 97, 128, 236, 17, 236, 17, 236, 17, 236, 17, 236, 17], 10),
    [165, 36, 212, 193, 237, 54, 199, 135, 44, 85],
  );
});

test("a QR code equals the code that two other programs make", () => {
  // Checked with OpenCV's reader and python-qrcode for lengths at both ends of versions 1 to 20.
  assert.equal(
    createHash("sha256").update(lines(URI).join("\n")).digest("hex"),
    "4c2b758cb786341b4649b36965f16aae698b25ca6dd830a1da01011416172d09",
  );
});

test("a QR code grows with its text, and a text that is too long gives null", () => {
  for (const [length, size] of [
    [1, 21],
    [14, 21],
    [15, 25],
    [122, 45],
    [123, 49],
    [213, 57],
    [214, 61],
    [666, 97],
  ] as const)
    assert.equal(lines("x".repeat(length)).length, size);
  assert.equal(qrCode(new Uint8Array(667)), null);
});

test("the path covers exactly the dark modules", () => {
  const grid = qrCode(bytes(URI)) ?? [];
  const drawn = grid.map((row) => row.map(() => false));
  for (const [, x, y, length, back] of qrPath(grid).matchAll(/M(\d+) (\d+)h(\d+)v1H(\d+)z/g)) {
    assert.equal(back, x);
    for (let step = 0; step < Number(length); step++) (drawn[Number(y)] as boolean[])[Number(x) + step] = true;
  }
  assert.deepEqual(drawn, grid);
});

test("a code is read with the blanks that apps show", () => {
  assert.equal(codeDigits(" 418 042\n"), "418042");
  assert.equal(codeDigits("12a34567"), "123456");
});

test("a secret is shown in groups of four", () => {
  assert.equal(groupSecret("JBSWY3DPEHPK3PXPJB"), "JBSW Y3DP EHPK 3PXP JB");
  assert.equal(groupSecret("JBSW"), "JBSW");
});

test("a session is named by browser and system", () => {
  assert.equal(
    deviceName("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"),
    "Chrome on Linux",
  );
  assert.equal(
    deviceName(
      "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
    ),
    "Safari on iOS",
  );
  assert.equal(
    deviceName("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0"),
    "Edge on Windows",
  );
  assert.equal(deviceName("Mozilla/5.0 (Android 16; Mobile; rv:150.0) Gecko/150.0 Firefox/150.0"), "Firefox on Android");
  assert.equal(deviceName("curl/8.14.1"), "curl");
  assert.equal(deviceName(""), "Unknown program");
});

test("grants have a short text", () => {
  assert.equal(grantsLabel(null), "Every node");
  assert.equal(grantsLabel({ nodes: ["a"], tags: ["prod", "db"] }), "tag prod, tag db, 1 node");
  assert.equal(grantsLabel({ nodes: [], tags: [] }), "No node");
});

test("a user can give only roles up to their own", () => {
  assert.deepEqual(rolesUpTo("viewer"), ["viewer"]);
  assert.deepEqual(rolesUpTo("admin"), ["viewer", "operator", "admin"]);
});

test("recovery codes name their user", () => {
  assert.equal(recoveryText(["aaaa-bbbb"], "ada", "gc.lan").split("\n")[3], "aaaa-bbbb");
  assert.match(recoveryText([], "ada", "gc.lan"), /^Stardust recovery codes of ada at gc\.lan\n/);
});

test("details of the audit log fit on a line", () => {
  assert.equal(detailText({ new_role: "viewer", grants: null, days: 90 }, 0), "new role: viewer · grants: every node · days: 90");
  assert.equal(
    detailText({ error: null, exit_code: 0, from: "running", second_factor: false }, 0),
    "exit code: 0 · from: running · second factor: no",
  );
  assert.equal(
    detailText({ before: { host: "a", port: 22, jump: null }, grants: { nodes: [], tags: ["web", "db"] } }, 0),
    "before: host a, port 22 · grants: nodes none, tags web, db",
  );
  assert.equal(detailText({ error: null }, 0), "");
  assert.equal(
    detailText({ grace_s: 900, free_bytes: 2048, used_percent: 7, limits: { timeout_s: 0 } }, 0),
    "grace: 15\u00a0min · free: 2.00\u00a0KiB · used: 7% · limits: timeout none",
  );
});

const row = {
  n: 7,
  at: 1_700_000_000,
  actor: "ada",
  address: "",
  action: "user.create",
  target: "user:x",
  result: "done",
  detail: {},
  by: "",
  order: null,
};

test("a part of actor and action finds a row", () => {
  assert.ok(matchesAuditFilter(row, { actor: " AD", action: "create" }));
  assert.ok(matchesAuditFilter(row, { actor: "", action: "" }));
  assert.ok(!matchesAuditFilter(row, { actor: "grace", action: "" }));
});

test("rows outside the dates do not match", () => {
  const filter = { actor: "", action: "" };
  assert.ok(matchesAuditFilter(row, { ...filter, from: row.at, to: row.at + 1 }));
  assert.ok(!matchesAuditFilter(row, { ...filter, from: row.at + 1 }));
  assert.ok(!matchesAuditFilter(row, { ...filter, to: row.at }));
});

test("the rows of one job are one entry, and a refusal is an entry of its own", () => {
  const of = (n: number, action: string, target: string, result = "done") => ({ ...row, n, action, target, result });
  const rows = [
    of(6, "job.succeeded", "job:j1"),
    of(5, "user.create", "u"),
    of(4, "job.running", "j1"),
    of(3, "job.create", "j2", "refused"),
    of(2, "job.create", "j2"),
    of(1, "job.create", "j1"),
  ];
  assert.deepEqual(
    foldAudit(rows).map((entry) => entry.map(({ n }) => n)),
    [[6, 4, 1], [5], [3], [2]],
  );
  assert.deepEqual(foldAudit([]), []);
});

test("an action is found by its label and by its name in the API", () => {
  assert.ok(matchesAuditFilter(row, { actor: "", action: "user added" }));
  assert.equal(auditLabel("job.dispatch"), "Job sent to the server");
  assert.equal(auditLabel("patch_window.edit"), "Window changed");
  assert.equal(auditLabel("job.of_a_later_hub"), "Job of a later hub");
});

test("a row is shown with the page's labels, and names instead of ids", () => {
  const [node, job, batch] = [`${"0".repeat(25)}n`, `${"0".repeat(25)}j`, `${"0".repeat(20)}abcdef`];
  const ordered = { ...row, action: "job.create", target: job, detail: { node, batch, action: "upgrade" } };
  const began = { ...row, action: "job.running", target: `job:${job}`, detail: { from: "accepted", exit_code: null, error: null } };
  const signed = { ...row, action: "auth.login", target: `user:${"0".repeat(25)}u`, actor: "ada", detail: {} };
  const nodeName = (id: string): string | undefined => (id === node ? "web-1" : undefined);
  const names = auditNames([began, ordered, signed], nodeName);
  assert.equal(names.get(job), "Upgrade packages, web-1");
  assert.equal(names.get(`${"0".repeat(25)}u`), "ada");
  const nameOf = (id: string): string | undefined => nodeName(id) ?? names.get(id);
  assert.equal(auditDetail(ordered, nameOf, 0), "node: web-1 · bulk job: …abcdef · action: Upgrade packages");
  assert.equal(auditDetail(began, nameOf, 0), "before: Accepted by the server");
  const refused = { ...row, action: "refusal.summary", detail: { "agent.open": 19 } };
  assert.equal(auditDetail(refused, nameOf, 0), "Node connection: 19");
  const failed = { ...row, action: "job.failed", detail: { error: "job.packages_broken", exit_code: 100 } };
  assert.equal(auditDetail(failed, nameOf, 0), "error: packages broken · exit code: 100");
  assert.equal(auditDetail({ ...row, action: "node.move", detail: { from: "a", to: "b" } }, nameOf, 0), "from: a · to: b");
});

test("a deployment is named after its server and not its login; a user by the user name", () => {
  const [one, other, user] = ["d", "e", "u"].map((end) => "0".repeat(25) + end) as [string, string, string];
  const names = auditNames(
    [
      { ...row, action: "deployment.create", target: one, detail: { kind: "deploy", host: "10.0.0.7", port: 22, username: "root" } },
      { ...row, action: "deployment.create", target: other, detail: { name: "web-1", host: "10.0.0.8", username: "root" } },
      { ...row, action: "user.create", target: `user:${user}`, detail: { username: "grace", role: "viewer" } },
    ],
    () => undefined,
  );
  assert.deepEqual(
    [one, other, user].map((id) => names.get(id)),
    ["10.0.0.7", "web-1", "grace"],
  );
});

test("a failed job or deployment is shown as failed, and a running one as done", () => {
  const shown = (action: string, result = "done"): string => Object.values(auditOutcome({ action, result })).join(" ");
  assert.equal(shown("deployment.failed"), "fail Failed");
  assert.equal(shown("job.failed"), "fail Failed");
  assert.equal(shown("job.interrupted").split(" ")[0], "warn");
  assert.equal(shown("job.unknown").split(" ")[0], "warn");
  assert.equal(shown("job.cancelled").split(" ")[0], "ended");
  assert.equal(shown("job.expired").split(" ")[0], "ended");
  for (const action of [
    "job.create",
    "job.dispatch",
    "job.accepted",
    "job.running",
    "job.succeeded",
    "deployment.running",
    "deployment.succeeded",
    "deployment.awaiting_host_key",
    "node.edit",
    "of_a_later_hub.failed",
  ])
    assert.equal(shown(action), "done done", action);
  assert.equal(shown("auth.login", "refused"), "fail refused");
});

test("the CSV file has the given rows, and no formula", () => {
  const hostile = { ...row, actor: "=HYPERLINK(1)", target: 'a "b",\nc', detail: { why: "x" } };
  assert.equal(
    auditCsv([row, hostile]),
    [
      "n,at,actor,by,address,action,target,result,detail",
      "7,2023-11-14T22:13:20.000Z,ada,,,user.create,user:x,done,{}",
      `7,2023-11-14T22:13:20.000Z,'=HYPERLINK(1),,,user.create,"a ""b"",\nc",done,"{""why"":""x""}"`,
      "",
    ].join("\r\n"),
  );
});

test("an order for many nodes is one entry of the audit log, with the person who gave it", () => {
  let n = 9;
  const row = (action: string, target: string, actor: string, detail: Record<string, unknown> = {}) => ({
    n: n--,
    at: 0,
    actor,
    address: "",
    action,
    target,
    result: "done",
    detail,
    by: "",
    order: null,
  });
  const rows = [
    row("job.succeeded", "j2", "node:n2"),
    row("job.failed", "j1", "node:n1"),
    row("user.edit", "u", "admin"),
    row("job.create", "j2", "grace", { batch: "b" }),
    row("job.create", "j1", "grace", { batch: "b" }),
    row("batch.create", "b", "grace"),
    row("job.create", "j0", "admin"),
  ];
  const folded = foldAudit(rows);
  assert.deepEqual(
    folded.map((group) => group.map(({ action }) => action)),
    [["batch.create", "job.succeeded", "job.failed", "job.create", "job.create"], ["user.edit"], ["job.create"]],
  );
  assert.equal(orderedBy(folded[0] ?? []), "grace");
});

test("rows of one order are one entry though the row of its order is not loaded, and the hub says who ordered them", () => {
  const of = (action: string, target: string, actor: string, order: string | null) => ({
    ...row,
    action,
    target,
    actor,
    by: order ? "grace" : "",
    order,
  });
  const rows = [
    of("deployment.failed", "d2", "hub", "o"),
    of("deployment.succeeded", "d1", "hub", "o"),
    of("job.succeeded", "j", "node:n1", null),
    of("deployment.running", "d2", "hub", "o"),
  ];
  const folded = foldAudit(rows);
  assert.deepEqual(
    folded.map((entry) => entry.map(({ action }) => action)),
    [["deployment.failed", "deployment.succeeded", "deployment.running"], ["job.succeeded"]],
  );
  assert.equal(orderedBy(folded[0] ?? []), "grace");
  assert.ok(matchesAuditFilter(rows[0] as (typeof rows)[0], { actor: "grace", action: "" }));
  assert.equal(subjectName({ name: "web-1", action: "upgrade" }), "Upgrade packages, web-1");
  assert.equal(subjectName({ name: "", action: "" }), undefined);
});

test("a detail has the sentence and not its code, names and not ids", () => {
  const id = `${"0".repeat(25)}c`;
  const failed = {
    ...row,
    action: "deployment.failed",
    detail: { from: "running", error: "port_closed", why: "nothing listens on port 22" },
  };
  assert.equal(
    auditDetail(failed, () => undefined, 0),
    "before: Running · why: nothing listens on port 22",
  );
  const listed = { ...row, action: "rule.edit", detail: { select: { nodes: [id, `node:${id}`] }, channel: id } };
  assert.equal(
    auditDetail(listed, () => "web-1", 0),
    "select: nodes web-1, web-1 · channel: web-1",
  );
});
