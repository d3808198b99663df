/** Builds the page into the hub's package: hashed names, a .gz beside each file, licence texts, a build id. */
import * as esbuild from "esbuild";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { writeIcons } from "./tools/icons.mjs";
import { licences } from "./tools/licences.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const option = (name, otherwise) => (process.argv.includes(name) ? path.resolve(process.argv[process.argv.indexOf(name) + 1]) : otherwise);
const out = option("--out", path.join(here, "../groundcontrol/web/static"));
/** The catalogue of another language, `de.json`; without it the page is in English. */
const catalogue = option("--words", "");
const modules = path.join(here, "node_modules");

const FONTS = {
  "assets/inter.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
  "assets/jbmono.woff2": "@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2",
};

/** Resolves fonts to their packages. Each `[data-theme=dark]{…}` also applies where the theme is auto and the system is dark, but not on paper. */
const styles = {
  name: "styles",
  setup(build) {
    build.onResolve({ filter: /^assets\/.*\.woff2$/ }, (args) => ({ path: path.join(modules, FONTS[args.path]) }));
    build.onLoad({ filter: /src\/styles\/.*\.css$/, namespace: "file" }, async (args) => {
      const text = await fs.promises.readFile(args.path, "utf8");
      const dark = [...text.matchAll(/\[data-theme=dark\]([^{},]*)\{[^}]*\}/g)].map((found) =>
        found[0].replace("data-theme=dark", "data-theme=auto"),
      );
      const auto = dark.length ? `\n@media screen and (prefers-color-scheme:dark){${dark.join("\n")}}` : "";
      return { contents: text.replace(/^\[data-theme=dark\][^{},]*\{[^}]*\}/gm, "@media screen{$&}") + auto, loader: "css" };
    });
  },
};

/** A later style sheet is text in its chunk: `import text from "sheet:path"`. */
const sheets = {
  name: "sheets",
  setup(build) {
    build.onResolve({ filter: /^sheet:/ }, (args) => ({ path: args.path.slice("sheet:".length), namespace: "sheet" }));
    build.onLoad({ filter: /.*/, namespace: "sheet" }, async (args) => {
      const made = await esbuild.build({
        absWorkingDir: here,
        entryPoints: [args.path],
        bundle: true,
        minify: true,
        write: false,
        target: "es2022",
        plugins: [styles],
        legalComments: "none",
        logLevel: "warning",
      });
      return { contents: made.outputFiles[0].text, loader: "text" };
    });
  },
};

const source = path.join(here, "src");
/** The chunk of each module that is imported on demand. Modules that are used together share a chunk, which avoids many small shared chunks. */
const CHUNKS = {
  dialogs: [
    "pages/add/add",
    "pages/redeploy/redeploy",
    "pages/redeploy/redeploy-many",
    "pages/remove/remove",
    "app/help-dialogs",
    "app/palette",
  ],
  alerts: ["pages/alerts/alerts", "pages/alerts/link", "pages/alerts/maintenance-dialog"],
  messenger: ["pages/alerts/messenger-trouble"],
  jobs: [
    "pages/bulk/bulk-job-dialog",
    "pages/bulk/forget",
    "pages/bulk/selection-bar",
    "pages/bulk/tags",
    "pages/fleet/first-run",
    "pages/fleet/pending-approval",
    "pages/fleet/columns-dialog",
    "pages/fleet/saved-views",
    "pages/job/job-report",
    "pages/jobs/submit/job-dialog",
    "pages/node/action-help",
    "pages/node/container-help",
    "pages/node/containers",
    "pages/rollouts/freeze-banner",
    "pages/rollouts/rollout-dialog",
    "pages/node/past-processes",
    "pages/node/unit-help",
    "pages/node/units",
  ],
  access: ["pages/login/change", "pages/login/enrol", "pages/login/outside", "pages/login/second", "pages/settings/settings"],
  sso: ["pages/login/sso"],
  columns: ["pages/fleet/columns", "pages/fleet/group-header", "pages/fleet/sort-menu"],
  issues: ["core/nodes/filter-error", "pages/fleet/issue-cause", "pages/storage-warning"],
  terminal: ["terminal/screen"],
  expiry: ["state/session-expiry"],
};
const named = new Set(Object.values(CHUNKS).flat());
/** The pages that no chunk names. */
CHUNKS.pages = [...fs.readFileSync(path.join(source, "app/routes.tsx"), "utf8").matchAll(/import\("\.\.\/(pages\/[^"]+)"\)/g)]
  .map(([, page]) => page)
  .filter((page) => !named.has(page));
/** Modules that are loaded with the first of these chunks, and shared by them. */
const LATER = [
  "ui/later-assets",
  "state/role-watch",
  "state/node-label",
  "ui/form",
  "ui/tabs",
  "ui/radio-cards",
  "ui/segmented",
  "core/text/local-datetime",
  "pages/list-view",
  "pages/use-action",
  "pages/nodes-field",
  "pages/date-range",
  "pages/import-dialog",
  "pages/add/policy-fields",
];
const WITH_LATER = new Set(["dialogs", "pages", "jobs", "access", "alerts"]);
/** The chunks that use parts of the first view. Importing its entry keeps it in one chunk; split by use, it packs two kilobytes worse. */
const WITH_FIRST = new Set([...WITH_LATER, "columns", "issues", "messenger", "terminal", "expiry", "sso"]);

/** Resolves each `import("…")` to its chunk. */
const chunks = {
  name: "chunks",
  setup(build) {
    const holder = new Map(Object.entries(CHUNKS).flatMap(([chunk, modules]) => modules.map((module) => [module, chunk])));
    build.onResolve({ filter: /^\./ }, ({ path: wanted, resolveDir, kind }) => {
      if (kind !== "dynamic-import") return null;
      const module = path.relative(source, path.join(resolveDir, wanted)).split(path.sep).join("/");
      if (!holder.has(module)) return { errors: [{ text: `no chunk of build.mjs holds src/${module}` }] };
      return { path: holder.get(module), namespace: "chunk" };
    });
    build.onLoad({ filter: /.*/, namespace: "chunk" }, ({ path: chunk }) => {
      const names = CHUNKS[chunk].flatMap((module) => {
        const file = [".ts", ".tsx"].map((end) => path.join(source, module + end)).find((one) => fs.existsSync(one));
        return [...fs.readFileSync(file, "utf8").matchAll(/^export (?:async )?(?:const|function|class) (\w+)/gm)].map(([, name]) => name);
      });
      const twice = names.find((name, at) => names.indexOf(name) !== at); // the bundler would drop both
      if (twice) return { errors: [{ text: `two modules of the chunk ${chunk} export ${twice}` }] };
      const shared = [...(WITH_FIRST.has(chunk) ? ["app/main"] : []), ...(WITH_LATER.has(chunk) ? LATER : [])];
      const lines = [...shared.map((module) => `import "./${module}";`), ...CHUNKS[chunk].map((module) => `export * from "./${module}";`)];
      return { contents: lines.join("\n"), resolveDir: source };
    });
  },
};

const licenceTexts = licences(modules); // first, so that a missing text stops the build before anything is removed
writeIcons(path.join(modules, "lucide-static/icons"), path.join(here, "src/ui"));
fs.rmSync(out, { recursive: true, force: true });

const result = await esbuild.build({
  absWorkingDir: here,
  entryPoints: { app: "src/app/main.tsx", style: "src/styles/main.css" },
  bundle: true,
  minify: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  outdir: out,
  jsx: "automatic",
  jsxImportSource: "preact",
  entryNames: "a/[name]-[hash]",
  chunkNames: "a/[name]-[hash]",
  assetNames: "a/[name]-[hash]",
  loader: { ".woff2": "file" },
  plugins: [styles, sheets, chunks],
  metafile: true,
  legalComments: "none",
  logLevel: "warning",
});

// The entry only imports the chunk with the first view. index.html names that chunk instead, which saves a round trip.
const { outputs } = result.metafile;
const main = Object.keys(outputs).find((file) => "src/app/main.tsx" in outputs[file].inputs);
const stub = Object.keys(outputs).find((file) => outputs[file].entryPoint === "src/app/main.tsx");
if (stub !== main) {
  fs.rmSync(path.resolve(here, stub));
  delete outputs[stub];
}
const made = Object.entries(outputs).map(([file, facts]) => ({ file: path.resolve(here, file), ...facts }));
const name = (file) => path.relative(out, file).split(path.sep).join("/");
const app = name(path.resolve(here, main));
const style = name(made.find((one) => one.entryPoint === "src/styles/main.css").file);
const inter = name(made.find((one) => /inter-latin/.test(one.file)).file);

const iconText = fs.readFileSync(path.join(here, "assets/icon.svg"));
const icon = `a/icon-${createHash("sha256").update(iconText).digest("hex").slice(0, 8)}.svg`;
fs.writeFileSync(path.join(out, icon), iconText);

const files = made.map((one) => name(one.file)).sort();
const language = catalogue ? path.basename(catalogue, ".json") : "en";
let ahead = "";
const words = catalogue ? JSON.parse(fs.readFileSync(catalogue, "utf8")) : {};
if (catalogue) {
  const text = `stardustWords={__proto__:null,${JSON.stringify({ ...words, "{}": language }).slice(1)}\n`;
  const file = `a/words-${createHash("sha256").update(text).digest("hex").slice(0, 8)}.js`;
  fs.writeFileSync(path.join(out, file), text);
  files.push(file);
  ahead = `<script src="/${file}"></script>\n`; // not deferred: it runs before the first module
}
const boot = ["Loading {0}", "Loading {0} takes longer than usual."].map((message) =>
  (words[message] ?? message).replace("{0}", "Stardust").replace(/[&<]/g, (sign) => `&#${sign.charCodeAt(0)};`),
);
const build = createHash("sha256").update(files.join("\n")).digest("hex").slice(0, 12);
const html = fs
  .readFileSync(path.join(here, "assets/index.html"), "utf8")
  .replace('<html lang="en"', `<html lang="${language}"`)
  .replace('<script type="module"', `${ahead}<script type="module"`)
  .replace("{loading}", () => boot[0])
  .replace("{slow}", () => boot[1])
  .replaceAll("{build}", build)
  .replaceAll("{app}", `/${app}`)
  .replaceAll("{style}", `/${style}`)
  .replaceAll("{inter}", `/${inter}`)
  .replaceAll("{icon}", `/${icon}`);
fs.writeFileSync(path.join(out, "index.html"), html);
fs.writeFileSync(path.join(out, "licences.txt"), licenceTexts);
fs.writeFileSync(path.join(out, "build.json"), `${JSON.stringify({ build, entry: `/${app}` })}\n`);

for (const file of fs.readdirSync(out, { recursive: true, withFileTypes: true })) {
  const full = path.join(file.parentPath ?? file.path, file.name);
  if (!file.isFile() || file.name.endsWith(".woff2") || full === path.join(out, "index.html")) continue;
  fs.writeFileSync(`${full}.gz`, zlib.gzipSync(fs.readFileSync(full), { level: 9 }));
}
// Stored beside the sources and not shipped: tools/budget.mjs reads the content of each chunk. Its sizes are those of the English page.
fs.mkdirSync(path.join(here, ".types"), { recursive: true });
if (!catalogue) fs.writeFileSync(path.join(here, ".types/build.json"), JSON.stringify({ out, outputs }));
console.log(`capsule ${build}: ${files.length} files in ${out}`);
