/** Subscribes to a topic and retries after temporary refusals, for example when the hub is busy. */

import type { Topic } from "../../wire/connection";
import { ApiError } from "../../wire/http";
import { isFinalRefusal, TopicRetry, refusalStatus } from "../../core/live/topic-retry";
import { onFrame } from "./frame-batch";
import { subscribe } from "./link";

interface RetriedTopic extends Omit<Topic, "refused"> {
  /** Called with each refusal. `last`: the refusal is final, and there is no retry. */
  refused(error: ApiError, last: boolean): void;
}

/** Returns the unsubscriber. */
export function subscribeWithRetry(name: string, topic: RetriedTopic, whileHidden = false): () => void {
  const patience = new TopicRetry();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let end = (): void => undefined;
  let over = false;
  const refused = (error: ApiError): void => {
    if (over) return;
    clearTimeout(timer);
    const last = isFinalRefusal(error.code);
    if (!last) timer = setTimeout(begin, patience.next(performance.now() / 1000, Math.random()) * 1000);
    topic.refused(error, last);
  };
  const begin = (): void => {
    end();
    end = subscribe(
      name,
      {
        ...topic,
        snapshot: (data) => {
          clearTimeout(timer); // a new connection has subscribed again
          topic.snapshot(data);
        },
        // Waits for a frame, so that the refusal is handled after earlier messages.
        refused: ({ code, message }) => onFrame(() => refused(new ApiError(code as ApiError["code"], refusalStatus(code), message))),
      },
      { whileHidden },
    );
  };
  begin();
  return () => {
    over = true;
    clearTimeout(timer);
    end();
  };
}
