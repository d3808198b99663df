/** Asks again for something that may have changed, until an answer settles it. An answer to a question from before the change settles nothing. */

import { backoff } from "../core/live/backoff";

/**
 * `ask` returns whether there was an answer. Without one it is called again after a wait; only one question runs at a time.
 *
 * Call the returned function when something may have changed. Its promise resolves after a later question was answered, or cannot be answered
 * now.
 */
export function pollUntilSettled(ask: () => Promise<boolean>): () => Promise<void> {
  let raised = 0;
  let failed = 0;
  let asking: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const put = async (): Promise<void> => {
    const before = raised;
    let answered = false;
    try {
      answered = await ask();
    } finally {
      asking = null;
    }
    if (before !== raised) return (asking = put());
    if (!answered) timer = setTimeout(raise, backoff(failed, Math.random()) * 1000);
    failed = answered ? 0 : failed + 1;
  };
  const raise = (): Promise<void> => {
    raised += 1;
    clearTimeout(timer);
    return (asking ??= put());
  };
  return raise;
}
