/** Checks the built page: a build in another folder gives the same bytes, and a browser accepts all scripts. One line per violation; exit 1 if there is one. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { out, outputs } = JSON.parse(fs.readFileSync(path.join(here, ".types/build.json"), "utf8"));
const found = [];

/** The contents of all files of a folder by relative path. Files whose name begins with a dot are left out. */
const read = (folder) =>
  new Map(
    fs
      .readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
      .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
      .map((file) => [path.relative(folder, file), fs.readFileSync(file)]),
  );
const page = read(out);

for (const [file, bytes] of page)
  if (file.endsWith(".js") && /\(\?<[=!]/.test(bytes))
    found.push(`${file}: contains a lookbehind, and Safari before 16.4 refuses a script with one`);

const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), "capsule-"));
try {
  const copy = path.join(elsewhere, "of/the/page");
  for (const part of ["package.json", "tsconfig.base.json", "build.mjs", "assets", "src", "tools"])
    fs.cpSync(path.join(here, part), path.join(copy, part), { recursive: true });
  // The bundler resolves links: packages that end up in the page are copied, the others are linked.
  const bundled = new Set(
    Object.values(outputs).flatMap(({ inputs }) =>
      Object.keys(inputs).flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? []),
    ),
  );
  const { dependencies } = JSON.parse(fs.readFileSync(path.join(here, "package.json"), "utf8"));
  for (const name of new Set([...bundled, ...Object.keys(dependencies)])) {
    const [from, to] = [here, copy].map((folder) => path.join(folder, "node_modules", name));
    fs.mkdirSync(path.dirname(to), { recursive: true });
    if (bundled.has(name)) fs.cpSync(from, to, { recursive: true });
    else fs.symlinkSync(from, to);
  }
  const built = spawnSync(process.execPath, ["build.mjs", "--out", path.join(elsewhere, "built")], { cwd: copy, encoding: "utf8" });
  if (built.status) found.push(`the page cannot be built in another folder: ${built.stderr}`);
  else {
    const other = read(path.join(elsewhere, "built"));
    for (const file of new Set([...page.keys(), ...other.keys()]))
      if (!other.get(file)?.equals(page.get(file) ?? Buffer.of()))
        found.push(`${file}: differs or is missing in a build in another folder`);
  }
} finally {
  fs.rmSync(elsewhere, { recursive: true, force: true });
}
for (const line of found) console.error(line);
process.exit(found.length ? 1 : 0);
