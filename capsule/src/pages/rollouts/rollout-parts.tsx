import type { VNode } from "preact";
import { rolloutTone } from "../../core/rollouts/rollout-text";
import type { RolloutView } from "../../state/types";
import { Glyph, type GlyphKind } from "../../ui";

const GLYPHS: Record<ReturnType<typeof rolloutTone>, GlyphKind> = { ok: "done", warn: "warn", crit: "crit", run: "run", wait: "wait" };

/** The glyph of a roll-out's state, which the text beside it names. */
export const RolloutGlyph = ({ one }: { one: RolloutView }): VNode => (
  <Glyph kind={one.state === "paused" ? "pause" : GLYPHS[rolloutTone(one)]} label="" />
);
