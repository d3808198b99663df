import assert from "node:assert/strict";
import { test } from "node:test";
import { byDay, foldEvents, isOrder, latestOfNodes, orderFromEvents } from "./fold-events";
import { orderSeverity, orderText } from "./orders";

const event = (type: string, node_id: string, at: number, rule = "") => ({
  type,
  severity: "info",
  node_id,
  at,
  details: rule ? { rule } : {},
});

test("the same event on many nodes is one run; the same event on few nodes, or another type, is not", () => {
  const many = Array.from({ length: 6 }, (_, place) => event("node_online", `n${place}`, 1000 - place));
  assert.deepEqual(
    foldEvents([event("job_failed", "a", 2000), ...many, event("node_offline", "b", 900)]).map((run) => run.length),
    [1, 6, 1],
  );
  assert.deepEqual(
    foldEvents(many.slice(0, 4)).map((run) => run.length),
    [1, 1, 1, 1],
  );
  const failed = Array.from({ length: 6 }, (_, place) => event("job_failed", `n${place}`, 1000));
  assert.equal(foldEvents(failed).length, 6);
});

test("jobs of one action are one run, by how they ended", () => {
  const of = (action: string, type: string) =>
    Array.from({ length: 5 }, (_, place) => ({ ...event(type, `n${place}`, 1000), details: { action } }));
  const runs = foldEvents([...of("check", "job_succeeded"), ...of("upgrade", "job_succeeded"), ...of("check", "job_failed")]);
  assert.deepEqual(
    runs.map((run) => run.length),
    [5, 5, 1, 1, 1, 1, 1],
  );
});

test("all events of one order for many nodes are one run, whatever they tell, and an order for one node is none", () => {
  const of = (type: string, node: string, at: number, batch: string, action = "upgrade") => ({
    ...event(type, node, at),
    details: { action, batch },
  });
  const order = [
    of("job_failed", "b", 1200, "x"),
    of("job_succeeded", "a", 1100, "x"),
    of("job_started", "b", 400, "x"),
    of("job_started", "a", 300, "x"),
  ];
  const runs = foldEvents([
    order[0],
    of("job_succeeded", "a", 1150, "y"),
    ...order.slice(1),
    of("job_started", "a", 100, "y"),
  ] as typeof order);
  assert.deepEqual(
    runs.map((run) => [run.length, isOrder(run)]),
    [
      [4, true],
      [1, false],
      [1, false],
    ],
  );
  assert.deepEqual(
    latestOfNodes(runs[0] ?? []).map(({ type }) => type),
    ["job_failed", "job_succeeded"],
  );
});

test("alerts of one rule are one run, also where other events stand between", () => {
  const due = Array.from({ length: 6 }, (_, place) => event("alert_firing", `n${place}`, 1000 - 2 * place, "Reboot is due"));
  const between = due.flatMap((one, place) => [
    one,
    event("alert_firing", `m${place}`, one.at - 1, place ? "CPU fully used" : "Server is hot"),
  ]);
  const runs = foldEvents(between);
  assert.deepEqual(
    runs.map((run) => [run.length, run[0]?.details["rule"]]),
    [
      [6, "Reboot is due"],
      [1, "Server is hot"],
      [5, "CPU fully used"],
    ],
  );
});

test("a node that comes twice, or much later, begins another run", () => {
  const five = Array.from({ length: 5 }, (_, place) => event("node_online", `n${place}`, 1000));
  assert.deepEqual(
    foldEvents([...five, event("node_online", "n0", 1000)]).map((run) => run.length),
    [5, 1],
  );
  assert.deepEqual(
    foldEvents([...five, event("node_online", "n9", 100)]).map((run) => run.length),
    [5, 1],
  );
});

test("runs are grouped by day", () => {
  const days = byDay([[event("a", "x", 250)], [event("a", "x", 210)], [event("a", "x", 90)]], (at) => Math.floor(at / 100) * 100);
  assert.deepEqual(
    days.map(({ day, runs }) => [day, runs.length]),
    [
      [200, 2],
      [0, 1],
    ],
  );
});

test("an order is one run whose number the hub gives, whatever events of it are loaded", () => {
  const order = { id: "x", kind: "jobs" as const, action: "plan", for_action: "upgrade", by: "ada", states: { succeeded: 24, failed: 2 } };
  const one = { ...event("job_succeeded", "a", 10), details: { action: "plan", batch: "x" } };
  const known = new Map([["x", order]]);
  assert.deepEqual(
    foldEvents([event("node_offline", "b", 20), one], known).map((run) => isOrder(run, known)),
    [false, true],
  );
  assert.equal(isOrder([one]), false);
  assert.equal(orderText(order), "Plan: Upgrade packages on 26\u00a0nodes: 2 failed, 24 succeeded");
  assert.equal(orderSeverity(order), "error");
  assert.equal(
    orderText({ ...order, action: "reboot", for_action: null, states: { queued: 1, accepted: 2, of_a_later_hub: 1 } }),
    "Reboot on 4\u00a0nodes: 3 waiting, 1 of a later hub",
  );
});

test("deployments of one order are one run, also those that failed and have no node", () => {
  const of = (type: string, deployment: string, node_id: string) => ({
    ...event(type, node_id, 10),
    node_id: node_id || null,
    details: { deployment, kind: "install", batch: "y" },
  });
  const run = foldEvents([of("deployment_failed", "d1", ""), of("deployment_failed", "d2", ""), of("deployment_succeeded", "d3", "n")]);
  assert.deepEqual([run.length, run[0] && isOrder(run[0])], [1, true]);
  assert.equal(orderText(orderFromEvents(run[0] ?? [])), "Deployment on 3\u00a0servers: 2 failed, 1 succeeded");
});
