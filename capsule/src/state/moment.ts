/** A chosen moment in the past, which is in the address: `?at=` in Unix seconds. */

import { hubNow } from "./clock";
import { pageUrl, setQuery } from "./router";

export const MINUTE_S = 60;

export const minuteOf = (at: number): number => Math.floor(at / MINUTE_S) * MINUTE_S;

/** The chosen moment; null = the present. */
export function chosenMoment(): number | null {
  const text = pageUrl.value.query.get("at") ?? "";
  return /^\d{1,10}$/.test(text) ? Number(text) : null;
}

/** Chooses a minute, not in the future; null returns to the present. */
export const chooseMoment = (at: number | null): void => setQuery({ at: at === null ? null : String(minuteOf(Math.min(at, hubNow()))) });
