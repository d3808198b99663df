/** Bundles each *.test.ts and runs the bundles with Node's own test runner. */
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
const ran = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...built.map((file) => path.join(out, file))], {
  stdio: "inherit",
});
process.exit(ran.status ?? 1);
