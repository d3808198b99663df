/**
 * Makes the raw output of a job safe to show: keeps text, colours and progress bars, and removes all other sequences.
 *
 * Kept: printable text, newline, carriage return, tab, backspace; `CSI … m`, cursor and erase sequences; save and restore cursor.
 *
 * Changed: a program that clears the screen does not erase old output. For `CSI 2 J` the terminal of the page keeps the old lines above. `CSI H`
 * plus `CSI J` would erase them, so it becomes `CSI H` plus `CSI 2 J`. `CSI 1 J` and `CSI 3 J` erase the lines above, so they are removed. A
 * program can still move the cursor up and write over lines, as progress bars do.
 *
 * Removed: OSC, DCS, APC, PM and SOS with their content, private modes, scroll regions, resets, C1 controls in either coding, bidirectional
 * control characters, and bytes that are not UTF-8.
 */

const ESC = 0x1b;
const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const NEWLINE = 0x0a;
const SHOWN_CONTROLS = new Set([0x08, 0x09, NEWLINE, 0x0d]);
const SHOWN_FINALS = new Set([..."mABCDEFGHfdJKXsu"].map((letter) => letter.charCodeAt(0)));
/** The top left corner, as parameters of `CSI H`. */
const CORNER = /^0*1?(;0*1?)?$/;
const MAX_CSI_BYTES = 48;
const MAX_STRING_BYTES = 4096;

/** The longest input that may wait for its end: a CSI with ESC and bracket, or a character of four bytes. */
const MAX_PENDING_BYTES = MAX_CSI_BYTES + 8;

/** A byte buffer of a fixed capacity. */
class ByteBuffer {
  readonly #bytes: Uint8Array;
  #length = 0;

  constructor(most: number) {
    this.#bytes = new Uint8Array(most);
  }

  push(...bytes: number[]): void {
    for (const byte of bytes) this.#bytes[this.#length++] = byte;
  }

  copy(bytes: Uint8Array, from: number, to: number): void {
    this.#bytes.set(bytes.subarray(from, to), this.#length);
    this.#length += to - from;
  }

  taken(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** The end of the plain text that begins at `from`. */
function plainTextEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte > 0x7e || (byte < 0x20 && !SHOWN_CONTROLS.has(byte))) break;
  }
  return at;
}

type State = "text" | "escape" | "charset" | "csi" | "csi-drop" | "string" | "string-escape";

export class AnsiFilter {
  #state: State = "text";
  /** The bytes of the current character, or the parameters of the current CSI. */
  #held: number[] = [];
  /** The bytes that the current character still needs. */
  #missing = 0;
  /** The length of the string sequence that is being removed. */
  #swallowed = 0;
  /** Whether the cursor is in the top left corner, with nothing printed since it moved there and the screen not cleared. */
  #cornered = false;

  /** Filters the next bytes. A sequence cut by the end of `bytes` continues in the next call. */
  clean(bytes: Uint8Array): Uint8Array {
    // The output has at most the input, the pending bytes of the last call, and one more byte for each six bytes: `CSI H` and `CSI J` together.
    const out = new ByteBuffer(Math.ceil(bytes.length * 1.25) + MAX_PENDING_BYTES);
    for (let at = 0; at < bytes.length; at += 1) {
      // Most output is plain text: whole runs of it are copied.
      if (this.#state === "text" && this.#missing === 0) {
        const end = plainTextEnd(bytes, at);
        if (end > at) {
          out.copy(bytes, at, end);
          this.#cornered = false;
          at = end;
          if (at === bytes.length) break;
        }
      }
      this.#step(bytes[at] as number, out);
    }
    return out.taken();
  }

  #step(byte: number, out: ByteBuffer): void {
    switch (this.#state) {
      case "text":
        this.#text(byte, out);
        return;
      case "escape":
        this.#escape(byte, out);
        return;
      case "charset":
        if (byte >= 0x30) this.#state = "text";
        return;
      case "csi":
      case "csi-drop":
        this.#csi(byte, out);
        return;
      case "string":
        this.#swallowed += 1;
        if (byte === BEL || byte === CAN || byte === SUB || this.#swallowed > MAX_STRING_BYTES) this.#state = "text";
        else if (byte === ESC) this.#state = "string-escape";
        else if (byte === NEWLINE) {
          this.#state = "text"; // an unterminated string must not hide the text after it
          out.push(byte);
        }
        return;
      case "string-escape":
        if (byte === 0x5c) this.#state = "text";
        else this.#escape(byte, out);
    }
  }

  #text(byte: number, out: ByteBuffer): void {
    if (this.#missing > 0) {
      if (byte >= 0x80 && byte <= 0xbf) {
        this.#held.push(byte);
        this.#missing -= 1;
        if (this.#missing === 0) {
          if (isShown(this.#held)) out.push(...this.#held);
          this.#cornered = false;
          this.#held = [];
        }
        return;
      }
      this.#held = [];
      this.#missing = 0;
    }
    if (byte === ESC) this.#state = "escape";
    else if (byte < 0x20) {
      if (SHOWN_CONTROLS.has(byte)) out.push(byte);
    } else if (byte < 0x7f) out.push(byte);
    else if (byte >= 0xc2 && byte <= 0xf4) {
      this.#held = [byte];
      this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    }
  }

  #escape(byte: number, out: ByteBuffer): void {
    this.#held = [];
    this.#swallowed = 0;
    if (byte === 0x5b) this.#state = "csi";
    else if (byte === 0x5d || byte === 0x50 || byte === 0x58 || byte === 0x5e || byte === 0x5f) this.#state = "string";
    else if (byte >= 0x20 && byte <= 0x2f) this.#state = "charset";
    else if (byte !== ESC) {
      this.#state = "text";
      if (byte === 0x37 || byte === 0x38) out.push(ESC, byte);
      else if (byte === NEWLINE) out.push(byte);
    }
  }

  #csi(byte: number, out: ByteBuffer): void {
    if (byte >= 0x40 && byte <= 0x7e) {
      if (this.#state === "csi" && SHOWN_FINALS.has(byte)) this.#sequence(byte, out);
      this.#held = [];
      this.#state = "text";
    } else if (byte === ESC) this.#state = "escape";
    else if (byte === CAN || byte === SUB) this.#state = "text";
    else if (byte < 0x20) {
      if (SHOWN_CONTROLS.has(byte)) out.push(byte);
    } else if ((byte >= 0x30 && byte <= 0x39) || byte === 0x3b || byte === 0x3a) {
      this.#held.push(byte);
      if (this.#held.length > MAX_CSI_BYTES) this.#state = "csi-drop";
    } else this.#state = "csi-drop";
  }

  #sequence(final: number, out: ByteBuffer): void {
    const parameters = String.fromCharCode(...this.#held);
    const letter = String.fromCharCode(final);
    if (letter === "J") {
      const part = parseInt(parameters, 10) || 0;
      if (part === 1 || part === 3) return;
      if (part === 0 && this.#cornered) {
        this.#held = [0x32];
        this.#cornered = false;
      }
    } else if (letter !== "m") this.#cornered = (letter === "H" || letter === "f") && CORNER.test(parameters);
    out.push(ESC, 0x5b, ...this.#held, final);
  }
}

/** False for C1 controls, bidirectional control characters, and bytes that are not UTF-8: overlong forms, surrogates, numbers too large. */
function isShown(bytes: readonly number[]): boolean {
  const [a, b = 0, c = 0] = bytes;
  if ((a === 0xe0 && b < 0xa0) || (a === 0xed && b > 0x9f) || (a === 0xf0 && b < 0x90) || (a === 0xf4 && b > 0x8f)) return false;
  if (a === 0xc2 && b <= 0x9f) return false;
  if (a === 0xd8 && b === 0x9c) return false;
  if (a === 0xe2 && b === 0x80) return !(c === 0x8e || c === 0x8f || (c >= 0xaa && c <= 0xae));
  if (a === 0xe2 && b === 0x81) return !(c >= 0xa6 && c <= 0xa9);
  return true;
}
