import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { forEachLimited, isRefusal, type BulkResult } from "../../state/bulk";
import { Button } from "../../ui/button";

export interface BulkRun<T> {
  /** The number of finished items; null = nothing is running. */
  through: number | null;
  stopping: boolean;
  /** Starts no more items; running ones are finished. */
  stop: () => void;
  start: (things: readonly T[], atOnce: number, act: (one: T) => Promise<unknown>) => Promise<BulkResult<T>>;
  /** Whether the dialog is still open. */
  here: () => boolean;
}

/** One action for many items, with progress and a stop button in the dialog. It also stops when the dialog closes, and when the user is refused. */
export function useBulkRun<T>(): BulkRun<T> {
  const [through, setThrough] = useState<number | null>(null);
  const [stopping, setStopping] = useState(false);
  const held = useRef({ stop: false, gone: false });
  useEffect(() => () => void (held.current.gone = true), []);
  const start: BulkRun<T>["start"] = async (things, atOnce, act) => {
    held.current.stop = false;
    setStopping(false);
    setThrough(0);
    try {
      return await forEachLimited(things, atOnce, act, { alone: true, onProgress: setThrough, stopIf: ({ failed }) => held.current.stop || held.current.gone || failed.some(({ error }) => isRefusal(error)) });
    } finally {
      setThrough(null);
    }
  };
  const stop = (): void => {
    held.current.stop = true;
    setStopping(true);
  };
  return { through, stopping, stop, start, here: () => !held.current.gone };
}

/** The progress, and a button that stops the run or closes the dialog. */
export function BulkRunEnd<T>({ run, total, over, focused = false, onClose }: { run: BulkRun<T>; total: number; over: boolean; focused?: boolean; onClose: () => void }): VNode {
  const { through, stopping } = run;
  return (
    <>
      <span class="t3 aside" role="status">
        {through === null ? "" : stopping ? t`${through} of ${total}. Stopping after the current ones…` : t`${through} of ${total}`}
      </span>
      <Button class="end" more={{ autofocus: focused }} busy={stopping && through !== null} onClick={through === null ? onClose : run.stop}>
        {through !== null ? t`Stop after the current ones` : over ? t`Close` : t`Cancel`}
      </Button>
    </>
  );
}
