/** A notice in place of data that could not be loaded because the hub is offline, and the repetition of requests when it is back. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../core/text";
import { Button } from "./button";
import { hubLink } from "./hub-link";
import { Icon } from "./icon";

export function OfflineNotice({ what, children }: { what: string; children?: ComponentChildren }) {
  const left = hubLink.retryIn.value;
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
        <Button slim icon="rotate-cw" onClick={hubLink.tryNow}>
          {t`Try now`}
        </Button>
        {children}
      </div>
    </div>
  );
}

/** Runs `act` after each new connection to the hub while `failed` is true. */
export function useOnceBack(failed: boolean, act: () => void): void {
  const made = hubLink.connections.value;
  const seen = useRef(made);
  useEffect(() => {
    if (made === seen.current) return;
    seen.current = made;
    if (failed) act();
  }, [made]);
}
