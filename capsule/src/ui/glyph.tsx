/** Small symbols for states. They differ in shape and not only in colour. */

import { t } from "../core/text";

export type GlyphKind = "ok" | "notice" | "warn" | "crit" | "off" | "stale" | "back" | "pause" | "run" | "done" | "wait" | "fail" | "ended";

export const GLYPH_WORDS: Record<GlyphKind, string> = {
  ok: t`Online`,
  notice: t`Notice`,
  warn: t`Warning`,
  crit: t`Critical`,
  off: t`Offline`,
  stale: t`Stale`,
  back: t`Reconnecting`,
  pause: t`Maintenance`,
  run: t`Running`,
  done: t`Done`,
  wait: t`Waiting`,
  fail: t`Failed`,
  ended: t`Ended`,
};

function shape(kind: GlyphKind) {
  switch (kind) {
    case "ok":
      return <circle cx="6" cy="6" r="4" fill="var(--ok-f)" />;
    case "notice":
      return (
        <>
          <rect x="1.2" y="1.2" width="9.6" height="9.6" rx="2.6" fill="var(--text-3)" />
          <path d="M6 5.6v3M6 3.4v.2" stroke="var(--surface)" stroke-width="1.5" stroke-linecap="round" />
        </>
      );
    case "warn":
      return (
        <>
          <path d="M6 .9 11.6 11H.4Z" fill="var(--warn-f)" stroke="var(--warn-f)" stroke-linejoin="round" />
          <path d="M6 4.4v3M6 9v.2" stroke="var(--surface)" stroke-width="1.5" stroke-linecap="round" />
        </>
      );
    case "crit":
      return (
        <>
          <path d="M6 .4 11.6 6 6 11.6.4 6Z" fill="var(--crit-f)" stroke="var(--crit-f)" stroke-linejoin="round" stroke-width=".8" />
          <path d="M6 3.4v3M6 8.4v.2" stroke="var(--surface)" stroke-width="1.5" stroke-linecap="round" />
        </>
      );
    case "off":
    case "ended":
      return (
        <>
          <circle cx="6" cy="6" r="4.6" fill="none" stroke={kind === "off" ? "var(--crit-f)" : "var(--text-3)"} stroke-width="1.5" />
          <path d="M2.9 9.1 9.1 2.9" stroke={kind === "off" ? "var(--crit-f)" : "var(--text-3)"} stroke-width="1.5" />
        </>
      );
    case "stale":
    case "back":
      return <circle cx="6" cy="6" r="4.6" fill="none" stroke="var(--text-3)" stroke-width="1.5" stroke-dasharray="2.2 1.9" />;
    case "pause":
      return (
        <>
          <rect x="2" y="1.6" width="2.8" height="8.8" rx="1" fill="var(--text-3)" />
          <rect x="7.2" y="1.6" width="2.8" height="8.8" rx="1" fill="var(--text-3)" />
        </>
      );
    case "run":
      return (
        <g class="spin">
          <circle cx="6" cy="6" r="4.6" fill="none" stroke="var(--track)" stroke-width="1.8" />
          <path d="M6 1.4A4.6 4.6 0 0 1 10.6 6" fill="none" stroke="var(--accent-t)" stroke-width="1.8" stroke-linecap="round" />
        </g>
      );
    case "done":
      return (
        <>
          <circle cx="6" cy="6" r="5.4" fill="var(--ok-f)" />
          <path
            d="m3.6 6.2 1.7 1.7 3.2-3.6"
            fill="none"
            stroke="var(--surface)"
            stroke-width="1.5"
            stroke-linecap="round"
            stroke-linejoin="round"
          />
        </>
      );
    case "wait":
      return <circle cx="6" cy="6" r="4.6" fill="none" stroke="var(--line-2)" stroke-width="1.5" />;
    case "fail":
      return (
        <>
          <circle cx="6" cy="6" r="5.4" fill="var(--crit-f)" />
          <path d="m4.2 4.2 3.6 3.6m0-3.6-3.6 3.6" stroke="var(--surface)" stroke-width="1.5" stroke-linecap="round" />
        </>
      );
  }
}

/** With an empty `label` the glyph is decoration: a text at its side says the same. */
export function Glyph({ kind, size = "", label = GLYPH_WORDS[kind] }: { kind: GlyphKind; size?: "" | "tiny" | "large"; label?: string }) {
  return (
    <svg class={`glyph ${size}`} viewBox="0 0 12 12" {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" })}>
      {shape(kind)}
    </svg>
  );
}
