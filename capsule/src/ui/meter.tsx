import type { Level } from "../core/nodes/node-status";
import { Glyph } from "./glyph";

/** A bar for a share in percent; null = empty. It is one element without a transform: a fleet has dozens, and each layer costs time at every value. */
export function Meter({ value, level = "" }: { value: number | null; level?: Level }) {
  return (
    <span
      class={`meter ${level}`}
      aria-hidden="true"
      style={{ backgroundSize: `${Math.round(Math.max(0, Math.min(100, value ?? 0)) * 2) / 2}% 100%` }}
    />
  );
}

/** The mark of a value that has crossed a threshold. */
export function Mark({ level }: { level: Level }) {
  return level ? <Glyph kind={level} size="tiny" /> : null;
}
