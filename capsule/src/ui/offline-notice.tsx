/** A notice in place of data that could not be loaded because the hub is offline, and the repetition of requests when it is back. */

import { signal, type ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../core/text";
import { Button } from "./button";
import { Icon } from "./icon";

interface Hub {
  lostSince: ReadonlySignal<number | null>;
  retryIn: ReadonlySignal<number | null>;
  /** Grows with each connection. */
  connections: ReadonlySignal<number>;
  tryNow(): void;
  /** Requests the page from the hub. */
  answers(): Promise<boolean>;
}

/** Set once by the app, because this layer has no state of its own. */
let hub: Hub = {
  lostSince: signal(null),
  retryIn: signal(null),
  connections: signal(0),
  tryNow: () => undefined,
  answers: async () => true,
};

export function setHub(given: Hub): void {
  hub = given;
}

export const isLost = (): boolean => hub.lostSince.value !== null;
export const hubAnswers = (): Promise<boolean> => hub.answers();

export function OfflineNotice({ what, children }: { what: string; children?: ComponentChildren }) {
  const left = hub.retryIn.value;
  return (
    <div class="card empty">
      <Icon name="wifi-off" size="huge" />
      <h2>{t`Waiting for ${what}`}</h2>
      <p>
        {t`No data yet. It appears as soon as Ground Control answers.`}{" "}
        <span class="num" aria-hidden="true">
          {left ? t`Trying again in ${left} s.` : t`Trying now…`}
        </span>
      </p>
      <div class="row">
        <Button slim icon="rotate-cw" onClick={hub.tryNow}>
          {t`Try now`}
        </Button>
        {children}
      </div>
    </div>
  );
}

/** Runs `act` after each new connection to the hub while `failed` is true. */
export function useOnceBack(failed: boolean, act: () => void): void {
  const made = hub.connections.value;
  const seen = useRef(made);
  useEffect(() => {
    if (made === seen.current) return;
    seen.current = made;
    if (failed) act();
  }, [made]);
}
