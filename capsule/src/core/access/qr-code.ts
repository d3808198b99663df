/** QR codes (ISO/IEC 18004), as far as a second factor needs them: byte mode, error correction level M, versions 1 to 20 (at most 666 bytes). */

/** For level M, by version: error correction bytes of a block, and the number of blocks. */
const CHECK = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];

/** Powers and logarithms of the field GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1. */
const POWER: number[] = [];
const LOG: number[] = [];
for (let step = 0, value = 1; step < 255; step++) {
  POWER[step] = value;
  LOG[value] = step;
  value = (value << 1) ^ (value > 127 ? 0x11d : 0);
}
const product = (a: number, b: number): number => (a && b ? (POWER[((LOG[a] as number) + (LOG[b] as number)) % 255] as number) : 0);

/** The Reed-Solomon error correction bytes of one block, `count` bytes. */
export function checkBytes(data: readonly number[], count: number): number[] {
  let divisor = [1];
  for (let root = 0; root < count; root++) {
    const next = [...divisor, 0];
    divisor.forEach((factor, index) => {
      next[index + 1] = (next[index + 1] as number) ^ product(factor, POWER[root] as number);
    });
    divisor = next;
  }
  const rest = [...data, ...Array<number>(count).fill(0)];
  for (let at = 0; at < data.length; at++) {
    const lead = rest[at] as number;
    divisor.forEach((factor, index) => {
      rest[at + index] = (rest[at + index] as number) ^ product(factor, lead);
    });
  }
  return rest.slice(data.length);
}

function totalBytes(version: number): number {
  let modules = (16 * version + 128) * version + 64;
  if (version > 1) {
    const marks = Math.floor(version / 7) + 2;
    modules -= (25 * marks - 10) * marks - 55;
    if (version > 6) modules -= 36;
  }
  return modules >> 3;
}

const dataBytes = (version: number): number => totalBytes(version) - (CHECK[version - 1] as number) * (BLOCKS[version - 1] as number);

/** The bytes of a symbol: length, content and padding, then the error correction bytes. Blocks are interleaved. */
function codewords(bytes: Uint8Array, version: number): number[] {
  const room = dataBytes(version);
  const head =
    version < 10
      ? [4 * 16 + (bytes.length >> 4), (bytes.length & 15) << 4]
      : [4 * 16 + (bytes.length >> 12), (bytes.length >> 4) & 255, (bytes.length & 15) << 4];
  const data = head;
  for (const byte of bytes) {
    data[data.length - 1] = (data[data.length - 1] as number) | (byte >> 4);
    data.push((byte & 15) << 4);
  }
  for (let pad = 0xec; data.length < room; pad ^= 0xec ^ 0x11) data.push(pad);
  const blocks = BLOCKS[version - 1] as number;
  const parts: number[][] = [];
  for (let block = 0, at = 0; block < blocks; block++) {
    const length = Math.floor(room / blocks) + (block >= blocks - (room % blocks) ? 1 : 0);
    parts.push(data.slice(at, at + length));
    at += length;
  }
  const checks = parts.map((part) => checkBytes(part, CHECK[version - 1] as number));
  const woven = (rows: number[][]): number[] =>
    Array.from({ length: Math.max(...rows.map((row) => row.length)) }, (_, column) => rows.flatMap((row) => row[column] ?? [])).flat();
  return [...woven(parts), ...woven(checks)];
}

/** `value` followed by its remainder by `divisor`, which has `bits` bits. */
function withRemainder(value: number, divisor: number, bits: number): number {
  let rest = value;
  for (let step = 0; step < bits; step++) rest = (rest << 1) ^ ((rest >> (bits - 1)) * divisor);
  return (value << bits) | rest;
}

const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

type Grid = boolean[][];
const at = (grid: Grid, x: number, y: number): boolean => grid[y]?.[x] ?? false;

/** The penalty of a pattern. Long runs, blocks of one colour, rows that look like a corner mark, and imbalance make a code hard to read. */
function penalty(grid: Grid): number {
  const size = grid.length;
  let points = 0;
  let dark = 0;
  for (const turned of [false, true]) {
    for (let row = 0; row < size; row++) {
      let line = "";
      for (let column = 0; column < size; column++) line += at(grid, turned ? row : column, turned ? column : row) ? "1" : "0";
      for (const run of line.match(/0{5,}|1{5,}/g) ?? []) points += run.length - 2;
      for (let from = 0; from + 11 <= size; from++) if (/^(00001011101|10111010000)/.test(line.slice(from))) points += 40;
      if (!turned) dark += line.split("1").length - 1;
    }
  }
  for (let y = 1; y < size; y++) {
    for (let x = 1; x < size; x++) {
      const one = at(grid, x, y);
      if (one === at(grid, x - 1, y) && one === at(grid, x, y - 1) && one === at(grid, x - 1, y - 1)) points += 3;
    }
  }
  return points + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

/** The modules row by row (true = dark) without the quiet zone, or null if the text is too long. */
export function qrCode(bytes: Uint8Array): Grid | null {
  let version = 1;
  while (version <= BLOCKS.length && dataBytes(version) < bytes.length + (version < 10 ? 2 : 3)) version += 1;
  if (version > BLOCKS.length) return null;
  const size = 4 * version + 17;
  const grid: Grid = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const fixed: Grid = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const set = (x: number, y: number, dark: boolean): void => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    (grid[y] as boolean[])[x] = dark;
    (fixed[y] as boolean[])[x] = true;
  };
  const rings = (cx: number, cy: number, radius: number, light: readonly number[]): void => {
    for (let y = -radius; y <= radius; y++)
      for (let x = -radius; x <= radius; x++) set(cx + x, cy + y, !light.includes(Math.max(Math.abs(x), Math.abs(y))));
  };
  for (let step = 0; step < size; step++) {
    set(6, step, step % 2 === 0);
    set(step, 6, step % 2 === 0);
  }
  for (const [x, y] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const)
    rings(x, y, 4, [2, 4]);
  const marks = version > 1 ? Math.floor(version / 7) + 2 : 0;
  const gap = Math.ceil((size - 13) / (2 * marks - 2)) * 2;
  const places = Array.from({ length: marks }, (_, index) => (index === 0 ? 6 : size - 7 - (marks - 1 - index) * gap));
  const last = size - 7;
  for (const x of places)
    for (const y of places) if (!((x === 6 && y === 6) || (x === 6 && y === last) || (x === last && y === 6))) rings(x, y, 2, [1]);
  const format = (mask: number): void => {
    const bits = withRemainder(mask, 0x537, 10) ^ 0x5412; // level M is 00
    const bit = (index: number): boolean => ((bits >> index) & 1) === 1;
    for (let index = 0; index < 15; index++) {
      set(8, index < 6 ? index : index < 8 ? index + 1 : size - 15 + index, bit(index));
      set(index < 8 ? size - 1 - index : index === 8 ? 7 : 14 - index, 8, bit(index));
    }
    set(8, size - 8, true);
  };
  format(0);
  if (version > 6) {
    const bits = withRemainder(version, 0x1f25, 12);
    for (let index = 0; index < 18; index++) {
      const dark = ((bits >> index) & 1) === 1;
      const far = size - 11 + (index % 3);
      set(far, Math.floor(index / 3), dark);
      set(Math.floor(index / 3), far, dark);
    }
  }
  const words = codewords(bytes, version);
  let done = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5;
    const upward = ((right + 1) & 2) === 0;
    for (let step = 0; step < size; step++) {
      for (const x of [right, right - 1]) {
        const y = upward ? size - 1 - step : step;
        if (at(fixed, x, y)) continue;
        (grid[y] as boolean[])[x] = (((words[done >> 3] ?? 0) >> (7 - (done & 7))) & 1) === 1;
        done += 1;
      }
    }
  }
  const flip = (mask: number): void => {
    const turns = MASKS[mask] as (x: number, y: number) => boolean;
    grid.forEach((row, y) => row.forEach((dark, x) => !at(fixed, x, y) && (row[x] = dark !== turns(x, y))));
  };
  let best = 0;
  let least = Infinity;
  for (let mask = 0; mask < 8; mask++) {
    flip(mask);
    format(mask);
    const points = penalty(grid);
    if (points < least) [best, least] = [mask, points];
    flip(mask);
  }
  flip(best);
  format(best);
  return grid;
}

/** The dark modules as one SVG path, with a rectangle for each run in a row. */
export function qrPath(grid: readonly (readonly boolean[])[]): string {
  let path = "";
  grid.forEach((row, y) => {
    for (let x = 0; x < row.length; x++) {
      if (!row[x]) continue;
      const from = x;
      while (row[x + 1]) x += 1;
      path += `M${from} ${y}h${x + 1 - from}v1H${from}z`;
    }
  });
  return path;
}
