/** Repeats a request until it has an answer that is newer than the last change. */

import { backoff } from "../core/live/backoff";

/**
 * `ask` sends the request and returns whether there was an answer. Without an answer it is called again after a wait. Only one request runs at
 * a time.
 *
 * Call the returned function when something may have changed. Its promise resolves when a request that started after the call has ended, with
 * or without an answer.
 */
export function pollUntilSettled(ask: () => Promise<boolean>): () => Promise<void> {
  let changes = 0;
  let failed = 0;
  let asking: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const send = async (): Promise<void> => {
    const before = changes;
    let answered = false;
    try {
      answered = await ask();
    } finally {
      asking = null;
    }
    if (before !== changes) return (asking = send());
    if (!answered) timer = setTimeout(poll, backoff(failed, Math.random()) * 1000);
    failed = answered ? 0 : failed + 1;
  };
  const poll = (): Promise<void> => {
    changes += 1;
    clearTimeout(timer);
    return (asking ??= send());
  };
  return poll;
}
