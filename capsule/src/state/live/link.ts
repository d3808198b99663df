/** The live socket of this tab, and its state for the page. */

import { computed, effect, signal } from "@preact/signals";
import { Connection, type LinkState, type Topic } from "../../wire/connection";
import { ROOT } from "../../wire/http";
import { hubNow, now, setHubTime, tick } from "../clock";
import { onFrame } from "./frame-batch";
import { chosen, organisations } from "../organisation";
import { mayOpenSocket, onSessionEnd, phase, reloadUser, user } from "../session";

/** The banner appears three seconds after the loss; drawing takes the rest. */
const BANNER_S = 2.9;
const HIDDEN_MS = 30_000;

const state = signal<LinkState>({ at: "closed" });
const lostAt = signal<number | null>(null);
const builtAs = document.querySelector<HTMLMetaElement>('meta[name="stardust-build"]')?.content ?? "";

/** When the hub started, in Unix seconds; 0 = unknown. */
export let hubStarted = 0;
/** Whether the hub has a newer page. The user decides when to load it. */
export const newerBuild = signal(false);
export const live = computed(() => state.value.at === "open");
/** The time of the last message before the socket was lost (hub time). */
export const lastMessageBeforeLoss = signal(0);
/** Since when the socket is lost (hub time); null = connected, or lost for less than `BANNER_S`. */
export const lostSince = computed(() => (lostAt.value !== null && now.value - lostAt.value >= BANNER_S ? lostAt.value : null));
/** Seconds until the next attempt; null = none is planned: the socket is open, connects now, or is not wanted. */
export const retryIn = computed(() => {
  void now.value;
  return state.value.at === "waiting" ? Math.max(0, Math.ceil((state.value.until - Date.now()) / 1000)) : null;
});
/** Grows whenever samples may be missing: at each connection, and when a tab that was hidden for long is shown. Then views load history again. */
export const connections = signal(0);

const connection = new Connection(
  () =>
    `${location.protocol.replace("http", "ws")}//${location.host}${ROOT}live${organisations.peek().length > 1 ? `?organisation=${chosen.peek()}` : ""}`,
  (next) => {
    // This is also true before the first connection: a hub that accepts the socket and sends nothing counts as offline.
    const lost = next.at !== "open" && next.at !== "closed";
    if (lost && lostAt.peek() === null) {
      setTimeout(tick, BANNER_S * 1000 + 1);
      lastMessageBeforeLoss.value = lastMessageAt();
    }
    lostAt.value = lost ? (lostAt.peek() ?? hubNow()) : null;
    state.value = next;
  },
  (hello) => {
    setHubTime(hello.now);
    hubStarted = hello.started_at;
    connections.value += 1;
    if (builtAs && hello.build && hello.build !== builtAs) newerBuild.value = true;
    void reloadUser(); // the socket reports later changes only, and the account was loaded before
  },
  mayOpenSocket,
  undefined,
  reloadUser,
);

/** The time of the last message (hub time). */
export const lastMessageAt = (): number => hubNow() - (Date.now() - connection.receivedAt) / 1000;

interface SubscribeOptions {
  whileHidden?: boolean;
  /** How many milliseconds a change may wait to be drawn with other changes. */
  patienceMs?: (data: unknown) => number;
}

/**
 * Subscribes to a topic. Returns the unsubscriber. Unless `whileHidden`, a tab that is hidden for `HIDDEN_MS` is unsubscribed, and gets a new
 * snapshot when it is shown again.
 */
export function subscribe(name: string, topic: Topic, { whileHidden = false, patienceMs = () => 0 }: SubscribeOptions = {}): () => void {
  const framed: Topic = {
    ...topic,
    // After the unsubscription, messages that still wait for their frame are dropped: another user may have signed in.
    snapshot: (data) => onFrame(() => end && topic.snapshot(data)),
    change: (data, seq) => onFrame(() => end && topic.change(data, seq), patienceMs(data)),
  };
  let end: (() => void) | null = connection.subscribe(name, framed);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onVisibility = (): void => {
    clearTimeout(timer);
    if (document.hidden) {
      timer = setTimeout(() => {
        end?.();
        end = null;
      }, HIDDEN_MS);
    } else if (!end) {
      end = connection.subscribe(name, framed);
      connections.value += 1;
    }
  };
  if (!whileHidden) {
    document.addEventListener("visibilitychange", onVisibility);
    onVisibility(); // the tab may have been opened hidden
  }
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisibility);
    end?.();
    end = null;
  };
}

/** Follows a topic from each sign-in to the end of its session, when `forget` drops what it told. */
export function followWhileSignedIn(
  name: string,
  topic: Topic,
  forget: () => void,
  options: SubscribeOptions = { whileHidden: true },
): void {
  let end: (() => void) | null = null;
  phase.subscribe((at) => {
    if (at === "ready") end ??= subscribe(name, topic, options);
  });
  onSessionEnd(() => {
    end?.();
    end = null;
    forget();
  });
}

/** Asks at once, or after `firstMs`, and then again and again, as long as the socket is open. */
export function askWhileLive(ask: () => Promise<void>, everyMs: number, firstMs = 0): void {
  effect(() => {
    if (!live.value) return;
    const first = setTimeout(() => void ask(), firstMs);
    const timer = setInterval(() => void ask(), everyMs);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  });
}

export { hubResponds } from "../../wire/http";
export const tryNow = (): void => connection.renew();

phase.subscribe((at) => {
  if (at === "ready") connection.start();
  else connection.stop();
});
// The answer to a request proves that the hub is back, so the socket connects now.
user.subscribe((who) => {
  if (who) connection.retryNow();
});
