/** The licence texts of all packages in the page. */
import fs from "node:fs";
import path from "node:path";

const SHIPPED = [
  "preact",
  "@preact/signals",
  "@preact/signals-core",
  "uplot",
  "@xterm/xterm",
  "@xterm/addon-fit",
  "lucide-static",
  "@fontsource-variable/inter",
  "@fontsource-variable/jetbrains-mono",
];

export function licences(modules) {
  return SHIPPED.map((name) => {
    const folder = path.join(modules, name);
    const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} has no licence text`);
    const { version, license } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
    return `${name} ${version} (${license})\n\n${fs.readFileSync(path.join(folder, file), "utf8").trim()}\n`;
  }).join(`\n${"-".repeat(80)}\n\n`);
}
