/** Whether the page reaches the hub, as far as this layer must know. */

import { signal, type ReadonlySignal } from "@preact/signals";
import { t } from "../core/text";

interface HubLink {
  lostSince: ReadonlySignal<number | null>;
  retryIn: ReadonlySignal<number | null>;
  /** Grows with each connection. */
  connections: ReadonlySignal<number>;
  tryNow(): void;
  /** Requests the page from the hub. */
  answers(): Promise<boolean>;
}

/** Set once by the app, because this layer has no state of its own. */
export let hubLink: HubLink = {
  lostSince: signal(null),
  retryIn: signal(null),
  connections: signal(0),
  tryNow: () => undefined,
  answers: async () => true,
};

export function setHub(given: HubLink): void {
  hubLink = given;
}

export const hubAnswers = (): Promise<boolean> => hubLink.answers();
export const isLost = (): boolean => hubLink.lostSince.value !== null;

/**
 * Attributes of a control that asks the hub for something, while the hub is out of reach: it keeps the focus and its place, and its title
 * says why a press does nothing. Undefined: it is not.
 */
export const cutOff = (): { "aria-disabled": true; title: string } | undefined =>
  isLost() ? { "aria-disabled": true, title: t`Not while Ground Control cannot be reached` } : undefined;
