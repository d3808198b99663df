import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/text";
import { forEachLimited, concernsUser, type BulkResult } from "../../state/bulk";
import { Button } from "../../ui";

export interface BulkRun<T> {
  /** The number of finished items; null = nothing is running. */
  through: number | null;
  stopping: boolean;
  /** Starts no more items. Items that run are finished. */
  stop: () => void;
  start: (things: readonly T[], limit: number, act: (one: T) => Promise<unknown>) => Promise<BulkResult<T>>;
  /** Whether the dialog is still open. */
  isShown: () => boolean;
}

/** Runs one action for many items, with progress and a stop button. The run also stops when the dialog closes, or when the hub refuses the user. */
export function useBulkRun<T>(): BulkRun<T> {
  const [through, setThrough] = useState<number | null>(null);
  const [stopping, setStopping] = useState(false);
  const state = useRef({ stop: false, unmounted: false });
  useEffect(() => () => void (state.current.unmounted = true), []);
  const start: BulkRun<T>["start"] = async (things, limit, act) => {
    state.current.stop = false;
    setStopping(false);
    setThrough(0);
    try {
      return await forEachLimited(things, limit, act, {
        alone: true,
        onProgress: setThrough,
        stopIf: ({ failed }) => state.current.stop || state.current.unmounted || failed.some(({ error }) => concernsUser(error)),
      });
    } finally {
      setThrough(null);
    }
  };
  const stop = (): void => {
    state.current.stop = true;
    setStopping(true);
  };
  return { through, stopping, stop, start, isShown: () => !state.current.unmounted };
}

/** The progress, and a button that stops the run or closes the dialog. */
export function BulkRunEnd<T>({
  run,
  total,
  over,
  focused = false,
  onClose,
}: {
  run: BulkRun<T>;
  total: number;
  over: boolean;
  focused?: boolean;
  onClose: () => void;
}) {
  const { through, stopping } = run;
  return (
    <>
      <span class="t3 aside" role="status">
        {through === null ? "" : stopping ? t`${through} of ${total}. Stopping after the current ones…` : t`${through} of ${total}`}
      </span>
      <Button
        class="end"
        more={{ autofocus: focused }}
        acts={false}
        busy={stopping && through !== null}
        onClick={through === null ? onClose : run.stop}
      >
        {through !== null ? t`Stop after the current ones` : over ? t`Close` : t`Cancel`}
      </Button>
    </>
  );
}
