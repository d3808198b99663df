/** Short notes in a corner: at most three; errors stay until closed. */

import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  kind: "done" | "run" | "fail";
  title: string;
  text: string;
  action?: { label: string; run: () => void };
}

const STAY_MS = 6000;
const MOST = 3;
let last = 0;
const timers = new Map<number, ReturnType<typeof setTimeout>>();

export const toasts = signal<readonly Toast[]>([]);

export function toast(kind: Toast["kind"], title: string, text = "", action?: Toast["action"]): number {
  const id = ++last;
  toasts.value = [...toasts.value, { id, kind, title, text, ...(action ? { action } : {}) }].slice(-MOST);
  resume(id);
  return id;
}

export function dismiss(id: number): void {
  hold(id);
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** While the pointer or the focus is on it. */
export function hold(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

export function resume(id: number): void {
  if (toasts.value.find((one) => one.id === id)?.kind === "fail") return;
  hold(id);
  timers.set(id, setTimeout(() => dismiss(id), STAY_MS));
}
