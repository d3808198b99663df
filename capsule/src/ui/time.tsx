import type { ComponentChildren } from "preact";
import { clock, iso } from "../core/text";

export function Time({ at, children }: { at: number; children?: ComponentChildren }) {
  return <time dateTime={iso(at)}>{children ?? clock(at)}</time>;
}
