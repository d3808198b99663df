/** Checks the sizes of the built page in bytes: scripts and style sheet as gzip, the font of the first view as stored. */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { outputs } = JSON.parse(fs.readFileSync(path.join(here, ".types/build.json"), "utf8"));
const size = (file) => zlib.gzipSync(fs.readFileSync(path.resolve(here, file)), { level: 9 }).length;
const files = Object.entries(outputs);
const holds = (facts, part) => Object.keys(facts.inputs).some((input) => input.includes(part));

function eager(file, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const { path: next, kind } of outputs[file].imports) if (kind === "import-statement") eager(next, seen);
  return seen;
}

const all = (part) => [...eager(files.find(([, facts]) => holds(facts, part))[0])];
const first = all("src/app/main.tsx");
const chunk = (part) =>
  files.filter(([file, facts]) => file.endsWith(".js") && holds(facts, part) && !first.includes(file)).map(([file]) => file);
const rows = [
  ["log-in and fleet, JS", 50_000, first],
  ["issues of nodes, JS", 3_000, all("src/pages/fleet/issue-cause.tsx").filter((file) => !first.includes(file))],
  ["chart chunk", 26_000, chunk("node_modules/uplot/")],
  ["terminal chunk", 92_000, chunk("node_modules/@xterm/xterm/")],
  ["style sheet", 12_000, files.filter(([file]) => file.endsWith(".css")).map(([file]) => file)],
];
let over = 0;
for (const [name, limit, parts] of rows) {
  const bytes = parts.reduce((sum, file) => sum + size(file), 0);
  if (bytes > limit || !parts.length) over += 1;
  console.log(`${bytes > limit ? "OVER " : parts.length ? "     " : "NONE "}${name.padEnd(26)} ${String(bytes).padStart(7)} of ${limit}`);
}
const inter = files.find(([file]) => /inter-latin/.test(file));
const fontBytes = fs.statSync(path.resolve(here, inter[0])).size;
console.log(`${fontBytes > 50_000 ? "OVER " : "     "}${"font of the first view".padEnd(26)} ${String(fontBytes).padStart(7)} of 50000`);
process.exit(over || fontBytes > 50_000 ? 1 : 0);
