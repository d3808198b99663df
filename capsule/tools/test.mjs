/**
 * Bundles each *.test.ts and runs the bundles with Node's own test runner, all in one process: to start Node takes longer than the tests.
 * Each bundle has modules of its own, so only what a test changes in `globalThis` or `process` must be taken back.
 */
import * as esbuild from "esbuild";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const out = path.join(here, ".test");
fs.rmSync(out, { recursive: true, force: true });
const tests = fs.readdirSync(path.join(here, "src"), { recursive: true }).filter((file) => file.endsWith(".test.ts"));
await esbuild.build({
  absWorkingDir: here,
  entryPoints: tests.map((file) => path.join("src", file)),
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  outdir: out,
  outExtension: { ".js": ".mjs" },
  jsx: "automatic",
  jsxImportSource: "preact",
  sourcemap: "inline",
  logLevel: "warning",
});
const built = fs.readdirSync(out, { recursive: true }).filter((file) => file.endsWith(".test.mjs"));
const ran = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", "--test-isolation=none", ...built.map((file) => path.join(out, file))],
  { stdio: "inherit", env: { ...process.env, TZ: "Europe/Berlin" } }, // a zone with summer time
);
process.exit(ran.status ?? 1);
