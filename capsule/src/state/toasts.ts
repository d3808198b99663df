/** Short notes in a corner, at most three. Errors and notes that need the user stay until they are closed. */

import { signal } from "@preact/signals";
import { onSessionEnd } from "./session";

export interface Toast {
  id: number;
  kind: "done" | "run" | "wait" | "fail";
  title: string;
  text: string;
  action?: { label: string; run: () => void };
}

const STAY_S = 6;
/** The maximum of shown toasts. */
export const MOST = 3;
let last = 0;
const timers = new Map<number, ReturnType<typeof setTimeout>>();

export const toasts = signal<readonly Toast[]>([]);

const stays = ({ kind }: Toast): boolean => kind === "fail" || kind === "wait";

export function toast(kind: Toast["kind"], title: string, text = "", action?: Toast["action"]): number {
  const id = ++last;
  // Newer toasts do not remove an older one that stays and has an action.
  toasts.value = [...toasts.value, { id, kind, title, text, ...(action ? { action } : {}) }].filter(
    (one, at, all) => at >= all.length - MOST || (one.action && stays(one)),
  );
  resumeToast(id);
  return id;
}

export function dismiss(id: number): void {
  pauseToast(id);
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** Stops the timer of a toast while the pointer or the focus is on it. */
export function pauseToast(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

/** Runs the timer of a toast. `left`: seconds until it disappears, which start again while a dialog covers the toast. */
export function resumeToast(id: number, left = STAY_S): void {
  if (toasts.value.some((one) => one.id === id && stays(one))) return;
  pauseToast(id);
  timers.set(
    id,
    setTimeout(() => {
      const next = document.querySelector("dialog[open]") ? STAY_S : left - 1;
      if (next) resumeToast(id, next);
      else dismiss(id);
    }, 1000),
  );
}

onSessionEnd(() => {
  toasts.value = [];
});
