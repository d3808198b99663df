/** How long an issue has lasted, and when a growing disk will be full. */

import { t } from "../text/i18n";
import { duration, shortDuration } from "../text/time";
import { size } from "../text/units";

const HOUR_S = 3600;
const MIN_SPAN_S = HOUR_S;
const MAX_FORECAST_S = 30 * 86_400;

/** Least squares over the known values, in bytes per second; null if the series is too short. */
export function growthRate(times: readonly number[], values: readonly (number | null)[]): number | null {
  const known = times.flatMap((at, row) => (values[row] == null ? [] : [[at, values[row] as number] as const]));
  const [first, last] = [known[0], known.at(-1)];
  if (!first || !last || known.length < 3 || last[0] - first[0] < MIN_SPAN_S) return null;
  const middle = known.reduce((sum, [at]) => sum + at, 0) / known.length;
  const mean = known.reduce((sum, [, value]) => sum + value, 0) / known.length;
  let [above, below] = [0, 0];
  for (const [at, value] of known) {
    above += (at - middle) * (value - mean);
    below += (at - middle) ** 2;
  }
  return above / below;
}

/** "full in about 9 h"; empty if it does not grow, or not within a month. */
export function fullInText(bytesPerSecond: number | null, used: number | null, whole: number | null): string {
  if (bytesPerSecond === null || used === null || whole === null || bytesPerSecond <= 0) return "";
  const left = Math.max(0, whole - used) / bytesPerSecond;
  return left > MAX_FORECAST_S ? "" : t`full in about ${duration(Math.max(60, left)).split(" ")[0] ?? ""}`;
}

/** "Growing 12.4 GiB/h, full in about 9 h."; empty like `fullInText`. */
export function forecastText(bytesPerSecond: number | null, used: number | null, whole: number | null): string {
  const when = fullInText(bytesPerSecond, used, whole);
  return when && t`Growing ${size((bytesPerSecond ?? 0) * HOUR_S)}/h, ${when}.`;
}

/** "for 6 min": how long the newest means, each of `step` seconds, were all at least `least`. Empty if that is too short. */
export function durationAbove(means: readonly (number | null)[], step: number, least: number): string {
  const known = means.at(-1) === null ? means.slice(0, -1) : means; // the newest interval may have just begun
  const calm = known.findLastIndex((mean) => mean === null || mean < least);
  const seconds = (known.length - 1 - calm) * step;
  if (calm < 0 && known.length) return t`for over ${shortDuration(seconds)}`;
  return seconds < 2 * step ? "" : t`for ${shortDuration(seconds)}`;
}
