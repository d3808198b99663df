/** Writes the icons that the page uses as data: [element, attributes] pairs, so that no markup string exists at run time. */
import fs from "node:fs";
import path from "node:path";

/** Those of the first view. */
const FIRST = [
  "arrow-down", "arrow-up", "chevron-down", "circle-alert", "eye", "eye-off", "filter", "info", "layout-grid", "list-checks", "lock", "log-out", "moon",
  "package", "plus", "refresh-cw", "rotate-cw", "rows-3", "satellite", "scroll-text", "search", "server", "settings", "shield", "sun", "sun-moon", "tag",
  "wifi-off", "x",
];
/** Those that come with the later parts. */
const LATER = [
  "check", "clock", "copy", "cpu", "download", "ellipsis", "file-key", "keyboard", "memory-stick", "menu", "monitor", "pause", "printer", "square", "star",
  "table-2", "trash-2", "users",
];

export function writeIcons(folder, target) {
  write(folder, `${target}/icons.gen.ts`, FIRST, "ICONS");
  write(folder, `${target}/later-icons.gen.ts`, LATER, "LATER_ICONS");
}

function write(folder, target, names, constant) {
  const entries = names.map((name) => {
    const text = fs.readFileSync(path.join(folder, `${name}.svg`), "utf8").replace(/<!--[\s\S]*?-->/, "");
    const shapes = [...text.matchAll(/<(path|rect|circle|line|polyline|polygon|ellipse)\s([^>]*?)\/?>/g)].map(([, tag, attrs]) => [
      tag,
      Object.fromEntries([...attrs.matchAll(/([a-z0-9-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value])),
    ]);
    if (!shapes.length) throw new Error(`no shapes in icon ${name}`);
    return `  ${JSON.stringify(name)}: ${JSON.stringify(shapes)},`;
  });
  const made = `// Made by tools/icons.mjs from lucide-static (ISC): never edited by hand.
export const ${constant} = {
${entries.join("\n")}
} as const;
`;
  if (!fs.existsSync(target) || fs.readFileSync(target, "utf8") !== made) fs.writeFileSync(target, made);
}
