/** House rules beyond the type checker. One line per violation; exit 1 if there is one. */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const RULES = [
  [/\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|srcdoc|createContextualFragment|setHTMLUnsafe|parseFromString)\b/, "markup from a string"],
  [/\bdocument\.write(ln)?\b|\beval\s*\(|new Function\s*\(|javascript:/, "code from a string"],
  [/\bstyle="/, "a style attribute: set geometry through the style object (CSSOM)"],
  [/\b(localStorage|sessionStorage|indexedDB)\b/, "browser storage: the page stores state in the URL and in two cookies only (theme, unanswered sign-out)"],
  [/@ts-(ignore|nocheck)|\bas any\b|: any\b/, "the type checker switched off"],
];
const ONLY = [
  [/from "uplot"/, /^src\/charts\//, "uPlot outside src/charts"],
  [/from "@xterm\//, /^src\/terminal\//, "xterm outside src/terminal"],
  [/from "@msgpack\//, /^$/, "the MessagePack library, which only tests need"],
  [/\bnew WebSocket\b|\bfetch\(/, /^src\/wire\//, "network outside src/wire"],
  [/from "[^"]*\/wire\//, /^src\/(wire|state)\//, "wire outside src/state"],
];
const found = [];
for (const name of fs.readdirSync(path.join(here, "src"), { recursive: true })) {
  const file = `src/${name.split(path.sep).join("/")}`;
  if (!/\.(ts|tsx)$/.test(file) || file.endsWith(".gen.ts")) continue;
  fs.readFileSync(path.join(here, file), "utf8").split("\n").forEach((line, index) => {
    const say = (why) => found.push(`${file}:${index + 1}: ${why}`);
    for (const [pattern, why] of RULES) if (pattern.test(line)) say(why);
    for (const [pattern, where, why] of ONLY) if (pattern.test(line) && !where.test(file) && !file.endsWith(".test.ts")) say(why);
  });
}
for (const line of found) console.error(line);
process.exit(found.length ? 1 : 0);
