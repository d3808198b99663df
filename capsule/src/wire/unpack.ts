/** Reads MessagePack as the hub writes it: no extensions, and all keys are texts. Any other input is refused. */

const MAX_DEPTH = 32;
/** Texts up to this length are decoded without TextDecoder, which is slow for short texts. */
const SHORT_BYTES = 24;
const MAX_NAMES = 4096;

const utf8 = new TextDecoder("utf-8", { fatal: true });
/** A key of a map. Keys repeat in every message, mostly in the same order. So each key is decoded once, and later found by its bytes. */
interface Name {
  /** The bytes in the message, with the head of the text. */
  bytes: Uint8Array;
  text: string;
  /** Guesses, tried before a search: the key that followed this one in the last map, and the first key of the last map that this key held. */
  next: Name | null;
  first: Name | null;
}

const names = new Map<number, Name>();
const TOP: Name = { bytes: new Uint8Array(), text: "", next: null, first: null };

/** Reads one value. Byte strings are views of `data`, and integers beyond 2^53 are rounded. Raises Error: invalid, truncated, more than one value, or deeper than `MAX_DEPTH`. */
export function unpack(data: ArrayBuffer): unknown {
  const bytes = new Uint8Array(data);
  const view = new DataView(data);
  let at = 0;

  /** Moves on by `length` bytes. Returns the offset at which they begin. */
  const span = (length: number): number => {
    const from = at;
    at += length;
    if (at > bytes.length) throw new Error("truncated");
    return from;
  };
  const size = (width: 1 | 2 | 4): number => {
    const from = span(width);
    return width === 1 ? view.getUint8(from) : width === 2 ? view.getUint16(from) : view.getUint32(from);
  };
  const text = (length: number): string => {
    const from = span(length);
    let short = "";
    if (length <= SHORT_BYTES) {
      for (let place = from; place < at; place += 1) {
        const code = bytes[place] as number;
        if (code > 127) return utf8.decode(bytes.subarray(from, at));
        short += String.fromCharCode(code);
      }
      return short;
    }
    return utf8.decode(bytes.subarray(from, at));
  };
  /** Whether the next bytes are this name. If so, skips them. */
  const skipIf = ({ bytes: key }: Name): boolean => {
    for (let index = 0; index < key.length; index += 1) if (key[index] !== bytes[at + index]) return false;
    at += key.length;
    return true;
  };
  const name = (): Name => {
    const from = at;
    const head = bytes[span(1)] as number;
    const length = head >> 5 === 5 ? head & 31 : head === 0xd9 ? size(1) : head === 0xda ? size(2) : -1;
    if (length < 0) throw new Error("a key is no text");
    const begin = at;
    let hash = length;
    for (let place = span(length); place < at; place += 1) hash = (hash * 31 + (bytes[place] as number)) | 0;
    const cached = names.get(hash);
    at = from;
    if (cached && skipIf(cached)) return cached;
    at = begin;
    const read: Name = { text: text(length), bytes: bytes.slice(from, at), next: null, first: null };
    if (read.text === "__proto__") throw new Error("a key is __proto__");
    if (names.size < MAX_NAMES) names.set(hash, read);
    return read;
  };
  const list = (length: number, depth: number, under: Name): unknown[] => {
    if (length > bytes.length - at) throw new Error("truncated");
    const found: unknown[] = [];
    for (let left = length; left > 0; left -= 1) found.push(value(depth, under));
    return found;
  };
  const map = (length: number, depth: number, under: Name): Record<string, unknown> => {
    const found: Record<string, unknown> = {};
    let before: Name | null = null;
    for (let left = length; left > 0; left -= 1) {
      const guess: Name | null = before ? before.next : under.first;
      const key: Name = guess && skipIf(guess) ? guess : name();
      if (key !== guess && names.size < MAX_NAMES) {
        if (before) before.next = key;
        else under.first = key;
      }
      before = key;
      found[key.text] = value(depth, key);
    }
    return found;
  };
  const value = (depth: number, under: Name): unknown => {
    if (depth > MAX_DEPTH) throw new Error("too deep");
    const head = bytes[span(1)] as number;
    if (head < 0x80) return head;
    if (head < 0x90) return map(head & 15, depth + 1, under);
    if (head < 0xa0) return list(head & 15, depth + 1, under);
    if (head < 0xc0) return text(head & 31);
    if (head >= 0xe0) return head - 256;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6: {
        const from = span(size((1 << (head - 0xc4)) as 1 | 2 | 4));
        return bytes.subarray(from, at);
      }
      case 0xca:
        return view.getFloat32(span(4));
      case 0xcb:
        return view.getFloat64(span(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return size((1 << (head - 0xcc)) as 1 | 2 | 4);
      case 0xcf:
        return Number(view.getBigUint64(span(8)));
      case 0xd0:
        return view.getInt8(span(1));
      case 0xd1:
        return view.getInt16(span(2));
      case 0xd2:
        return view.getInt32(span(4));
      case 0xd3:
        return Number(view.getBigInt64(span(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return text(size((1 << (head - 0xd9)) as 1 | 2 | 4));
      case 0xdc:
      case 0xdd:
        return list(size(head === 0xdc ? 2 : 4), depth + 1, under);
      case 0xde:
      case 0xdf:
        return map(size(head === 0xde ? 2 : 4), depth + 1, under);
      default:
        throw new Error("a type that the hub does not use");
    }
  };

  const found = value(0, TOP);
  if (at !== bytes.length) throw new Error("more than one value");
  return found;
}
