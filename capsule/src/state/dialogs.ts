/** Which dialog is open; one at a time. */

import { signal } from "@preact/signals";

export type Open = { kind: "add"; deployment?: string } | { kind: "remove"; node: string; deployment?: string } | { kind: "keys" } | { kind: "palette" };

export const open = signal<Open | null>(null);

export const show = (wanted: Open): void => {
  open.value = wanted;
};
export const hide = (): void => {
  open.value = null;
};
