/** When which patch policy touches each server next. It is read only while a column, a sort order or a filter needs it. */

import { signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import { onSessionEnd } from "./session";

/** The answer is read again this often. */
const EVERY_MS = 60_000;

export interface NextPatch {
  /** The names of the patch policies that select it. */
  policies: string;
  /** Unix seconds; null = no date comes, or its policies are paused. */
  at: number | null;
}

/** By node; null = not known. A node that is not in it is under no patch policy. */
export const nextPatches = signal<ReadonlyMap<string, NextPatch> | null>(null);
onSessionEnd(() => (nextPatches.value = null));

/** Keeps the answer fresh until the returned function is called. */
export function followNextPatches(): () => void {
  let ended = false;
  const read = async (): Promise<void> => {
    try {
      const { nodes } = await call("GET", "patch-policies/next");
      if (!ended) nextPatches.value = new Map(nodes.map((one) => [one.node_id, { policies: one.policies.join(", "), at: one.next_at }]));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the last answer stays, or it is not known
    }
  };
  void read();
  const timer = setInterval(() => void read(), EVERY_MS);
  return () => {
    ended = true;
    clearInterval(timer);
  };
}
