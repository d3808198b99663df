/** Rules for the text of the sources that Biome does not have. Prints one line per violation; exit 1 if there is one. */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const RULES = [
  [/\b(innerHTML|outerHTML|insertAdjacentHTML|srcdoc|createContextualFragment|setHTMLUnsafe|parseFromString)\b/, "markup from a string"],
  [/\bdocument\.write(ln)?\b|new Function\s*\(|javascript:/, "code from a string"],
  [/\bstyle="/, "a style attribute: set geometry through the style object (CSSOM)"],
];
const violations = [];
for (const name of fs.readdirSync(path.join(here, "src"), { recursive: true })) {
  const file = `src/${name.split(path.sep).join("/")}`;
  if (!/\.(ts|tsx)$/.test(file) || file.endsWith(".gen.ts")) continue;
  const lines = fs.readFileSync(path.join(here, file), "utf8").split("\n");
  lines.forEach((line, index) => {
    for (const [pattern, why] of RULES) if (pattern.test(line)) violations.push(`${file}:${index + 1}: ${why}`);
  });
}
for (const violation of violations) console.error(violation);
process.exit(violations.length ? 1 : 0);
