/** The ids of the selected nodes. The selection stays while other pages are open. */

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
