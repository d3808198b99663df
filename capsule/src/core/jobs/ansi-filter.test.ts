import assert from "node:assert/strict";
import { test } from "node:test";
import { AnsiFilter } from "./ansi-filter";

const ESC = "\x1b";
const clean = (...parts: (string | number[])[]): string => {
  const cleaner = new AnsiFilter();
  return parts
    .map((part) => Buffer.from(cleaner.clean(typeof part === "string" ? Buffer.from(part) : Uint8Array.from(part))).toString("latin1"))
    .join("");
};
const utf8 = (text: string): string => Buffer.from(text).toString("latin1");

test("colours, line ends and sequences of progress bars pass unchanged", () => {
  for (const kept of ["a\r\nb\tc\bd", `${ESC}[1;32mok${ESC}[0m`, `${ESC}[2K\r50%`, `${ESC}[3A${ESC}[1G`, `${ESC}7x${ESC}8`, "grün — ✓"])
    assert.equal(clean(kept), utf8(kept));
});

test("titles, clipboards, device strings and private modes are removed with their content", () => {
  assert.equal(clean(`a${ESC}]0;title\x07b`), "ab");
  assert.equal(clean(`a${ESC}]52;c;ZXZpbA==${ESC}\\b`), "ab");
  assert.equal(clean(`a${ESC}P1;2|secret${ESC}\\b${ESC}_apc${ESC}\\c${ESC}^pm${ESC}\\d${ESC}Xsos${ESC}\\e`), "abcde");
  assert.equal(clean(`a${ESC}[?1049hb${ESC}[>cc${ESC}[!pd${ESC}[2 qe`), "abcde");
});

test("resets, scroll regions, reports and character sets are removed", () => {
  assert.equal(clean(`a${ESC}cb${ESC}[1;5rc${ESC}[6nd${ESC}(0e${ESC}#8f${ESC}[21t`), "abcdef");
});

test("C1 controls in either coding, direction marks and invalid UTF-8 are removed", () => {
  assert.equal(clean([0x61, 0x9b, 0x33, 0x31, 0x6d, 0x62]), "a31mb");
  assert.equal(clean([0x61, 0xc2, 0x9b, 0x62, 0xff, 0xc0, 0x63]), "abc");
  assert.equal(clean("a\u202eb\u2066c\u200fd"), "abcd");
  assert.equal(clean([0x61, 0xe0, 0x80, 0x9b, 0xed, 0xa0, 0x80, 0xf0, 0x80, 0x80, 0x9b, 0xf4, 0x90, 0x80, 0x80, 0x62]), "ab");
  assert.equal(clean("\u0800\ud7ff\u{10000}\u{10ffff}"), utf8("\u0800\ud7ff\u{10000}\u{10ffff}"));
});

test("old output may scroll out of view, but is not erased", () => {
  assert.equal(clean(`a${ESC}[3Jb${ESC}[03;1Jc${ESC}[1Jd`), "abcd");
  assert.equal(clean(`${ESC}[H${ESC}[2J${ESC}[3J`), `${ESC}[H${ESC}[2J`);
  for (const home of ["[H", "[1;1H", "[;H", "[0;01f"])
    for (const rest of ["[J", "[0J"]) assert.equal(clean(`a${ESC}${home}${ESC}[0m${ESC}${rest}`), `a${ESC}${home}${ESC}[0m${ESC}[2J`);
  // Sequences that redraw their own lines pass unchanged.
  for (const kept of [`${ESC}[J`, `${ESC}[5A\r${ESC}[J`, `${ESC}[H50%${ESC}[J`, `${ESC}[2;1H${ESC}[J`]) assert.equal(clean(kept), kept);
  const much = `${ESC}[H${ESC}[J`.repeat(2000);
  assert.equal(clean(much), `${ESC}[H${ESC}[2J`.repeat(2000));
  assert.equal(clean(`${ESC}[H${`${ESC}[J`.repeat(2000)}text`), `${ESC}[H${ESC}[2J${`${ESC}[J`.repeat(1999)}text`);
});

test("a sequence or character cut at any byte gives the same output", () => {
  const text = `x${ESC}[31mrot${ESC}[0m ${ESC}]0;t${ESC}\\é✓ ${ESC}P junk ${ESC}\\${ESC}[H${ESC}[Jend`;
  const bytes = [...Buffer.from(text)];
  const whole = clean(bytes);
  for (let cut = 1; cut < bytes.length; cut += 1) assert.equal(clean(bytes.slice(0, cut), bytes.slice(cut)), whole, `cut at ${cut}`);
});

test("an unterminated string hides neither the next line nor the rest", () => {
  assert.equal(clean(`a${ESC}]0;never\nb`), "a\nb");
  assert.ok(clean(`a${ESC}P${"x".repeat(9000)}`).endsWith("xxx"));
});

test("a long output is filtered in whole runs, with nothing lost between them", () => {
  const line = `Get:1 http://mirror/debian package-${"x".repeat(60)} ${ESC}[32mok${ESC}[0m grün\r\n`;
  const cleaner = new AnsiFilter();
  const bytes = Buffer.from(line.repeat(4000));
  let out = "";
  for (let at = 0; at < bytes.length; at += 65_537) out += Buffer.from(cleaner.clean(bytes.subarray(at, at + 65_537))).toString("latin1");
  assert.equal(out, utf8(line.repeat(4000)));
});

test("random bytes never let an escape through that is not on the list", () => {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 16;
  };
  const alphabet = [0x1b, 0x5b, 0x5d, 0x3f, 0x3b, 0x31, 0x6d, 0x68, 0x50, 0x5c, 0x07, 0x0a, 0x63, 0x9b, 0xc2, 0x80];
  for (let round = 0; round < 3000; round += 1) {
    const cleaned = clean(Array.from({ length: 40 }, () => alphabet[random() % alphabet.length] as number));
    const left = cleaned.replace(/\x1b\[[0-9;:]*[mABCDEFGHfdJKXsu]|\x1b[78]/g, "");
    assert.ok(!/[\x1b\x00-\x07\x0b\x0c\x0e-\x1f\x7f]/.test(left), JSON.stringify(cleaned));
  }
});
