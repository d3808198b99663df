/** Writes the icons that the page uses as data: [element, attributes] pairs, so that no markup string exists at run time. */
import fs from "node:fs";
import path from "node:path";

const NAMES = [
  "arrow-down", "arrow-up", "check", "chevron-down", "circle-alert", "clock", "copy", "cpu", "download", "ellipsis",
  "eye", "eye-off", "file-key", "filter", "info", "keyboard", "layout-grid", "list-checks", "lock", "log-out", "memory-stick",
  "menu", "monitor", "moon", "package", "pause", "plus", "printer", "refresh-cw", "rotate-cw", "rows-3", "satellite", "scroll-text", "search", "server",
  "settings", "shield", "square", "sun", "sun-moon", "table-2", "tag", "trash-2", "users", "wifi-off", "x",
];

export function writeIcons(folder, target) {
  const entries = NAMES.map((name) => {
    const text = fs.readFileSync(path.join(folder, `${name}.svg`), "utf8").replace(/<!--[\s\S]*?-->/, "");
    const shapes = [...text.matchAll(/<(path|rect|circle|line|polyline|polygon|ellipse)\s([^>]*?)\/?>/g)].map(([, tag, attrs]) => [
      tag,
      Object.fromEntries([...attrs.matchAll(/([a-z0-9-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value])),
    ]);
    if (!shapes.length) throw new Error(`no shapes in icon ${name}`);
    return `  ${JSON.stringify(name)}: ${JSON.stringify(shapes)},`;
  });
  const made = `// Made by tools/icons.mjs from lucide-static (ISC): never edited by hand.
export type Shape = readonly [string, Readonly<Record<string, string>>];

export const ICONS = {
${entries.join("\n")}
} as const satisfies Record<string, readonly Shape[]>;

export type IconName = keyof typeof ICONS;
`;
  if (!fs.existsSync(target) || fs.readFileSync(target, "utf8") !== made) fs.writeFileSync(target, made);
}
