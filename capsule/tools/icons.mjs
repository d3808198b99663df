/** Writes the page's icons as data: one SVG path for each icon, so that the page contains no markup strings. */
import fs from "node:fs";
import path from "node:path";

/** Icons of the first view. */
const FIRST = [
  "arrow-down",
  "arrow-up",
  "bell",
  "chevron-down",
  "circle-alert",
  "eye",
  "eye-off",
  "filter",
  "info",
  "layout-grid",
  "list-checks",
  "lock",
  "log-out",
  "moon",
  "package",
  "plus",
  "refresh-cw",
  "rotate-cw",
  "rows-3",
  "satellite",
  "scroll-text",
  "search",
  "server",
  "settings",
  "shield",
  "sun",
  "sun-moon",
  "tag",
  "wifi-off",
  "x",
];
/** Icons of later chunks. */
const LATER = [
  "arrow-down-to-line",
  "bell-off",
  "calendar-clock",
  "check",
  "clock",
  "copy",
  "cpu",
  "download",
  "ellipsis",
  "file-key",
  "keyboard",
  "memory-stick",
  "menu",
  "monitor",
  "pause",
  "printer",
  "send",
  "square",
  "star",
  "table-2",
  "trash-2",
  "users",
  "wrench",
];

export function writeIcons(folder, target) {
  write(folder, `${target}/icons.gen.ts`, FIRST, "ICONS");
  write(folder, `${target}/later-icons.gen.ts`, LATER, "LATER_ICONS");
}

/** Converts each kind of SVG shape into a path that can be appended to another path. */
const PATHS = {
  path: ({ d }) => d.replace(/^m\s*(-?[\d.]+)[\s,]*(-?[\d.]+)[\s,]*(?=[-\d.])/, "M$1 $2l").replace(/^m/, "M"), // SVG reads a leading relative move as absolute
  line: ({ x1, y1, x2, y2 }) => `M${x1} ${y1}L${x2} ${y2}`,
  polyline: ({ points }) => `M${points}`,
  circle: ({ cx, cy, r }) => `M${cx - r} ${cy}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  rect({ x, y, width, height, rx: r = 0 }) {
    const corner = (across, down) => (+r ? `a${r} ${r} 0 0 1 ${across * r} ${down * r}` : "");
    const [w, h] = [width - 2 * r, height - 2 * r];
    return `M${+x + +r} ${y}h${w}${corner(1, 1)}v${h}${corner(-1, 1)}h${-w}${corner(-1, -1)}v${-h}${corner(1, -1)}z`;
  },
};

function write(folder, target, names, constant) {
  const entries = names.map((name) => {
    const text = fs.readFileSync(path.join(folder, `${name}.svg`), "utf8").replace(/<!--[\s\S]*?-->/, "");
    const shapes = [...text.matchAll(/<(?!svg|\/)(\w+)\s([^>]*?)\/?>/g)].map(([, tag, attrs]) => {
      if (!PATHS[tag]) throw new Error(`icon ${name} has a <${tag}>, and PATHS has no conversion for it`);
      return PATHS[tag](Object.fromEntries([...attrs.matchAll(/([a-z0-9-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value])));
    });
    if (!shapes.length) throw new Error(`no shapes in icon ${name}`);
    return `  ${JSON.stringify(name)}: ${JSON.stringify(shapes.join(""))},`;
  });
  const made = `// Made by tools/icons.mjs from lucide-static (ISC): never edited by hand.
export const ${constant} = {
${entries.join("\n")}
} as const;
`;
  if (!fs.existsSync(target) || fs.readFileSync(target, "utf8") !== made) fs.writeFileSync(target, made);
}
