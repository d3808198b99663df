/** How long the hub stores samples: texts, parsing and the hub's limits. */

import { size, t, timeOrDate } from "../text";
import type { TierView } from "../../wire/schema.gen";

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];
const NAMED: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };
const MIN_S = 2 * 3600;
const MAX_S = 3660 * 86_400;

export type Tier = "1s" | "1m" | "1h";
export const TIER_LABELS: Record<Tier, string> = { "1s": t`Per second`, "1m": t`Per minute`, "1h": t`Per hour` };

/** A duration as "30 d" or "36 h". It is exact, so that saving the text again changes nothing. */
export function retentionText(seconds: number): string {
  const [unit, length] = (seconds === 86_400 ? UNITS[1] : UNITS.find(([, one]) => seconds % one === 0)) ?? ["s", 1];
  return `${seconds / length} ${unit}`;
}

/** The seconds of a typed duration; null = the text is not a duration. */
export function parseRetention(text: string): number | null {
  const found = /^\s*(\d+(?:[.,]\d+)?)\s*(s|min|h|d|w|y)\s*$/i.exec(text);
  if (!found) return null;
  return Math.round(Number((found[1] ?? "").replace(",", ".")) * (NAMED[(found[2] ?? "").toLowerCase()] ?? 0));
}

/** The error of a typed duration; empty = none. `finer` is the typed duration of the next finer tier. */
export function retentionError(text: string, finer?: string): string {
  const seconds = parseRetention(text);
  if (seconds === null) return t`Enter a number and a unit: 24 h, 30 d, 2 y.`;
  if (seconds < MIN_S || seconds > MAX_S) return t`At least 2 h and at most 10 years (3660 d).`;
  const before = finer === undefined ? null : parseRetention(finer);
  return before !== null && seconds < before ? t`At least as long as for the finer samples above.` : "";
}

type TierLike = Pick<TierView, "tier" | "kept_s" | "bytes_per_value" | "values_per_day">;

/** The size of a tier in bytes once it holds samples of this duration. */
export const bytesWhenFull = (tier: TierLike, seconds: number): number => (tier.bytes_per_value * tier.values_per_day * seconds) / 86_400;

/** The tiers that become shorter. A tier without a wanted value does not change. */
export const shortenedTiers = <T extends TierLike>(tiers: readonly T[], wanted: Readonly<Partial<Record<Tier, number>>>): T[] =>
  tiers.filter(({ tier, kept_s }) => (wanted[tier] ?? kept_s) < kept_s);

/** Says which samples a shorter tier loses, and their largest possible size. `seconds` is the new duration. */
export function lossText(tier: TierLike, seconds: number, now: number): string {
  const from = now - seconds;
  const when = timeOrDate(from, now);
  return t`${TIER_LABELS[tier.tier]}: everything before ${when} (older than ${retentionText(seconds)}; until now ${retentionText(tier.kept_s)} were kept), up to about ${size(bytesWhenFull(tier, tier.kept_s - seconds))}.`;
}

/** The text that the user types to confirm a loss: the name of one tier, or the number of several. */
export const lossName = (tiers: readonly TierLike[]): string =>
  tiers.length === 1 ? tiers.map(({ tier }) => TIER_LABELS[tier]).join() : String(tiers.length);
