/** A scripted hub; README.md says how to use it. */
import { decode, encode } from "@msgpack/msgpack";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Access } from "./access.mjs";
import { FakeNode, newId } from "./fleet.mjs";
import { accept } from "./socket.mjs";
import { Job } from "./job.mjs";
import { Deployment } from "./deployment.mjs";

const flag = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : (process.argv[at + 1] ?? "");
};
const port = Number(flag("port", "8940"));
const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), flag("static", "../../groundcontrol/web/static"));
const now = () => Date.now() / 1000;
const started = now();
const HUB = newId();
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain" };
const CSP = `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self' ws://127.0.0.1:${port} ws://localhost:${port}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'`;

export const nodes = process.argv.includes("--empty") ? [] : Array.from({ length: Number(flag("nodes", "19")) }, (_, index) => new FakeNode(index, flag("policy", "managed")));
const jobs = [];
const deployments = [];
const events = [];
const sockets = new Set();
let refuseUntil = 0;
let build = fs.existsSync(path.join(folder, "build.json")) ? JSON.parse(fs.readFileSync(path.join(folder, "build.json"), "utf8")).build : "";
let signedIn = false;
const access = new Access(newId, { role: flag("role", "admin"), totp: process.argv.includes("--totp"), mustEnrol: process.argv.includes("--must-enrol") });
let stepUps = 0;

const byName = (name) => nodes.find((node) => node.name === name);
const event = (type, severity, node, message) => {
  const made = { id: newId(), type, severity, source: "hub", at: now(), node_id: node?.id ?? null, message, details: {} };
  events.unshift(made);
  tell("events", made);
};
for (const [severity, name, message] of [["info", "db-01", "admin upgraded 7 packages"], ["warning", "db-01", "No samples for 38 s, link lost"], ["info", "db-01", "Package lists refreshed, 12 updates"], ["error", "backup-hel", "backup-hel went offline"]]) {
  if (byName(name)) event("node.note", severity, byName(name), message);
}

/** Sends a change of a topic to all subscribers. */
function tell(topic, data, seq) {
  for (const one of sockets) {
    if (!one.topics.has(topic)) continue;
    const next = seq ?? one.topics.get(topic) + 1;
    one.topics.set(topic, next);
    one.send(encode(["change", { topic, seq: next, data }]));
  }
}

export const world = { nodes, tell, event, newId };

const lastSent = new Map();
/** The values of a node that changed since the last call, as the real hub sends a fleet. Some values are sent each time. */
function changedValues(node) {
  const [before, shown] = [lastSent.get(node.id) ?? {}, node.summary()];
  lastSent.set(node.id, shown);
  return Object.fromEntries(Object.entries(shown).filter(([name, { value }]) => name === "cpu.total" || name === "load.1" || before[name]?.value !== value));
}

function tick(some) {
  const latest = {};
  for (const node of some) {
    if (!node.online || node.quiet) continue;
    node.seenAt = now();
    latest[node.id] = changedValues(node);
    const at = node.stamp();
    const all = {};
    for (const name of node.names()) all[name] = node.at(name, at);
    if (at % 60 === 0) for (const name of node.slowNames()) all[name] = node.at(name, at);
    tell(`node:${node.id}`, { latest: all, node: null });
  }
  if (some.length) tell("fleet", { nodes: [], latest, removed: [] });
}

/** Each node sends once a second: all nodes together, or with --spread a part of them every 30 ms, as in the real hub. */
const SHARES = process.argv.includes("--spread") ? 33 : 1;
let share = 0;
if (!process.argv.includes("--still")) {
  setInterval(() => {
    share = (share + 1) % SHARES;
    tick(nodes.filter((_, index) => index % SHARES === share));
  }, 1000 / SHARES);
}

const changed = (node) => {
  tell("fleet", { nodes: [node.view()], latest: {}, removed: [] });
  tell(`node:${node.id}`, { latest: {}, node: node.view(node.full()) });
};
world.removeNode = (node) => {
  nodes.splice(nodes.indexOf(node), 1);
  tell("fleet", { nodes: [], latest: {}, removed: [node.id] });
};
world.addNode = (node) => {
  nodes.push(node);
  changed(node);
};
if (byName("edge-ams") && !process.argv.includes("--calm")) {
  const job = new Job(world, byName("edge-ams"), { action: "full-upgrade" });
  jobs.unshift(job);
}
const past = byName("queue-01") && new Job(world, byName("queue-01"), { action: "upgrade" }, true);
if (past) jobs.push(past);

function snapshot(topic) {
  if (topic === "fleet") return { nodes: nodes.map((node) => node.view()) };
  if (topic === "events") return { events: events.slice(0, 50) };
  if (topic === "alerts") return { alerts: [], next: null };
  if (topic === "incidents") return { incidents: [], next: null };
  if (topic === "jobs") return { jobs: jobs.map((job) => job.view()) };
  const [kind, id] = topic.split(":");
  if (kind === "node") {
    const node = nodes.find((one) => one.id === id);
    return node && node.view(node.full());
  }
  if (kind === "deployment") return deployments.find((one) => one.id === id)?.view();
  return undefined;
}

function live(request, socket) {
  if (Date.now() < refuseUntil || !signedIn) return socket.end("HTTP/1.1 503 Unavailable\r\n\r\n");
  const one = { topics: new Map(), socket };
  one.send = accept(
    request,
    socket,
    (body) => {
      const [kind, { topic, after = 0 }] = decode(body);
      if (kind === "ping") one.send(encode(["pong", {}]));
      else if (kind === "unsubscribe") one.topics.delete(topic);
      else if (kind === "subscribe") {
        if (topic.startsWith("job:")) {
          const job = jobs.find((candidate) => `job:${candidate.id}` === topic);
          if (!job) return one.send(encode(["error", { code: "not_found", message: "there is no such job", topic }]));
          const offset = Math.min(after, job.output.length);
          one.topics.set(topic, offset);
          one.send(encode(["snapshot", { topic, seq: offset, data: job.view() }]));
          if (offset < job.output.length) one.send(encode(["change", { topic, seq: job.output.length, data: { output: job.output.subarray(offset), offset } }]));
          job.followed?.();
          return undefined;
        }
        const data = snapshot(topic);
        if (!data) return one.send(encode(["error", { code: "not_found", message: "there is no such topic", topic }]));
        one.topics.set(topic, 7);
        one.send(encode(["snapshot", { topic, seq: 7, data }]));
      }
      return undefined;
    },
    () => sockets.delete(one),
  );
  sockets.add(one);
  one.send(encode(["hello", { hub_id: HUB, build, now: now(), started_at: started, session_expires_at: now() + 3600 }]));
  return undefined;
}

const problem = (status, code, detail, facts = {}) => [status, { type: "about:blank", title: code, status, detail, code, instance: "req-7f31c", facts }];
const session = () => ({ token: "x", expires_at: now() + 600, csrf_token: "c", user: access.user() });

async function rest(method, url, body) {
  const parts = url.pathname.slice("/api/v1/".length).split("/");
  const [kind, id, act] = parts;
  if (kind === "auth") {
    if (id === "login") {
      if (body.password === "limit" || process.argv.includes("--limited")) return [...problem(429, "auth.rate_limited", "too many attempts"), { "retry-after": "42" }];
      if (body.password === "wrong") return problem(401, "auth.bad_credentials", "user name or password is wrong");
      const refusal = access.login(body);
      if (refusal) return refusal;
      signedIn = true;
      access.me.mustChange = body.password === "admin";
      return [200, session()];
    }
    if (!signedIn) return problem(401, "auth.required", "log in first");
    if (id === "password") {
      access.me.mustChange = false;
      return [200, session()];
    }
    if (id === "preferences") return [200, { views: [], single_keys: true, network_bits: false, columns: [] }];
    if (id === "step-up") return body.password === "wrong" ? problem(401, "auth.bad_credentials", "wrong") : (access.login(body) ?? ((stepUps = 1), [204]));
    if (id === "logout") return (signedIn = false), (stepUps = 0), [204];
    if (!["totp", "recovery-codes", "sessions"].includes(id)) return [200, session()];
  }
  if (!signedIn) return problem(401, "auth.required", "log in first");
  if (process.argv.includes("--step-up") && !stepUps && method !== "GET" && ["auth", "users", "tokens", "settings"].includes(kind)) return problem(403, "auth.step_up_required", "the password is needed once more");
  if (kind === "notifications") return [200, { since_at: 0, sent: 0, deferred: 0, skipped: 0, failed: 0, due: 0, reasons: {}, oldest_due_at: null, channels_broken: [], channels_retrying: [] }];
  const answer = access.rest(method, parts, url, body);
  if (answer) return answer;
  const node = nodes.find((one) => one.id === id);
  if (kind === "nodes" && !id) return [200, { nodes: nodes.map((one) => one.view()), next: null }];
  if (kind === "nodes" && !node) return problem(404, "not_found", "there is no such node");
  if (kind === "nodes" && act === "history") {
    const query = url.searchParams;
    return [200, node.history(query.getAll("metric"), Number(query.get("from")), Number(query.get("to")), Number(query.get("points") ?? 600))];
  }
  if (kind === "nodes" && act === "tables") return [200, { tables: [] }];
  if (kind === "history") {
    const query = url.searchParams;
    const compared = query.getAll("node").map((wanted) => nodes.find((one) => one.id === wanted));
    if (compared.includes(undefined)) return problem(404, "not_found", "there is no such node");
    const histories = compared.map((one) => one.history(query.getAll("metric"), Number(query.get("from")), Number(query.get("to")), Number(query.get("points") ?? 600)));
    return [200, { ...histories[0], series: undefined, nodes: Object.fromEntries(compared.map((one, index) => [one.id, histories[index].series])) }];
  }
  if (kind === "nodes" && act === "jobs") {
    const job = new Job(world, node, body, false, Number(flag("pour", "0")));
    jobs.unshift(job);
    return [202, job.view()];
  }
  if (kind === "nodes" && method === "PATCH") {
    if (body.name === "taken") return problem(409, "conflict", "a node named taken exists already");
    Object.assign(node, body);
    changed(node);
    return [200, node.view(node.full())];
  }
  if (kind === "nodes" && method === "DELETE") {
    if (process.argv.includes("--step-up") && !stepUps) return problem(403, "auth.step_up_required", "the password is needed once more");
    const one = new Deployment(world, { host: node.address, username: "admin", name: node.name, ...body }, node);
    deployments.unshift(one);
    return [202, one.view()];
  }
  if (kind === "nodes") return [200, node.view(node.full())];
  if (kind === "jobs" && !id) {
    const of = url.searchParams.get("node");
    return [200, { jobs: jobs.filter((job) => !of || job.node.id === of).map((job) => job.view()), next: null }];
  }
  const job = jobs.find((one) => one.id === id);
  if (kind === "jobs" && !job) return problem(404, "not_found", "there is no such job");
  if (kind === "jobs" && act === "output") return [200, job.output];
  if (kind === "jobs") return [200, job.view()];
  if (kind === "events") {
    const of = url.searchParams.get("node");
    return [200, { events: events.filter((one) => !of || one.node_id === of), next: null }];
  }
  if (kind === "deployments" && !id && method === "GET") return [200, { deployments: deployments.map((one) => one.view()), next: null }];
  if (kind === "deployments" && !id) {
    if (body.host === "refused") return problem(400, "request.invalid", "host must be a host name or an IP address", { field: "host" });
    const one = new Deployment(world, body);
    deployments.unshift(one);
    return [202, one.view()];
  }
  const deployment = deployments.find((one) => one.id === id);
  if (!deployment) return problem(404, "not_found", "there is nothing here");
  if (act === "host-key") deployment.confirm();
  else if (act === "cancel") deployment.cancel();
  else if (act === "retry") deployment.retry(body);
  return [method === "GET" ? 200 : 202, deployment.view()];
}

function dev(url) {
  const node = byName(url.searchParams.get("node") ?? "");
  if (!node && /quiet|offline|back/.test(url.pathname)) return 404;
  switch (url.pathname) {
    case "/dev/quiet":
      node.quietAt = Math.floor(now());
      node.quiet = true;
      break;
    case "/dev/offline":
      node.online = false;
      node.quietAt = 0;
      changed(node);
      event("node_offline", "warning", node, `${node.name} went offline`);
      break;
    case "/dev/back":
      node.online = true;
      node.quiet = false;
      changed(node);
      break;
    case "/dev/drop":
      refuseUntil = Date.now() + Number(url.searchParams.get("s") ?? 8) * 1000;
      for (const one of sockets) one.socket.destroy();
      break;
    case "/dev/build":
      build = "another";
      for (const one of sockets) one.socket.destroy();
  }
  return 204;
}

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://x");
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const send = (status, type, body, headers = {}) => {
    response.writeHead(status, { "content-type": type, "content-security-policy": CSP, "cache-control": "no-store", ...headers });
    response.end(body);
  };
  if (url.pathname.startsWith("/dev/")) {
    return send(dev(url), "text/plain", "");
  }
  if (url.pathname.startsWith("/api/v1/")) {
    const text = Buffer.concat(chunks).toString();
    const [status, answer, headers] = await rest(request.method, url, text ? JSON.parse(text) : {});
    if (answer instanceof Uint8Array) return send(status, "application/octet-stream", answer);
    return send(status, status < 400 ? "application/json" : "application/problem+json", status === 204 ? "" : JSON.stringify(answer), headers);
  }
  const file = path.join(folder, path.normalize(url.pathname));
  if (file.startsWith(folder) && fs.existsSync(file) && fs.statSync(file).isFile()) return send(200, TYPES[path.extname(file)] ?? "application/octet-stream", fs.readFileSync(file));
  const theme = /theme=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "auto";
  return send(200, "text/html", fs.readFileSync(path.join(folder, "index.html"), "utf8").replace('data-theme="auto"', `data-theme="${theme}"`));
});
server.on("upgrade", live);
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
