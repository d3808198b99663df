/** What may have changed is asked for until an answer settles it. The answer to a question that was put before the doubt settles nothing. */

import { backoff } from "../core/live/backoff";

/**
 * `ask` says whether there was an answer. Without one it is asked again after a wait; there is one question at a time.
 *
 * Each call of what is returned is a doubt. It resolves once a question that was put after it has an answer, or none can be had now.
 */
export function askUntilSettled(ask: () => Promise<boolean>): () => Promise<void> {
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
