import type { VNode } from "preact";
import type { Level } from "../core/nodes/node-status";
import { Glyph } from "./glyph";

/** One element without a transform: a fleet has dozens of them, and each extra layer or clip costs time at every value. */
export function Meter({ value, level = "" }: { value: number | null; level?: Level }): VNode {
  return <span class={`meter ${level}`} aria-hidden="true" style={{ backgroundSize: `${Math.round(Math.max(0, Math.min(100, value ?? 0)) * 2) / 2}% 100%` }} />;
}

/** A crossed threshold beside a number: a shape as well as a colour. */
export function Mark({ level }: { level: Level }): VNode | null {
  return level ? <Glyph kind={level} size="tiny" /> : null;
}
