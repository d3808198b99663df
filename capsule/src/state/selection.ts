/** The nodes that somebody has ticked; they stay ticked while the page goes elsewhere and back. */

import { signal } from "@preact/signals";
import { onSessionEnd } from "./session";

export const picked = signal<ReadonlySet<string>>(new Set());

export const pick = (ids: readonly string[], on: boolean): void => {
  const next = new Set(picked.value);
  for (const id of ids) on ? next.add(id) : next.delete(id);
  picked.value = next;
};

export const unpick = (): void => {
  picked.value = new Set();
};
onSessionEnd(unpick);
