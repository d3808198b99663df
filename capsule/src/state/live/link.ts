/** The live socket of this tab, and its state for the page. */

import { computed, signal } from "@preact/signals";
import { Connection, type LinkState, type Topic } from "../../wire/connection";
import { ROOT } from "../../wire/http";
import { hubNow, now, setHubTime, tick } from "../clock";
import { onFrame } from "./frame-batch";
import { phase, reloadUser, stillSignedIn, user } from "../session";

/** The banner appears three seconds after the loss, less the time to draw. */
const BANNER_S = 2.9;
const HIDDEN_MS = 30_000;

const state = signal<LinkState>({ at: "closed" });
const lostAt = signal<number | null>(null);
const builtAs = document.querySelector<HTMLMetaElement>('meta[name="stardust-build"]')?.content ?? "";

/** When the hub started. */
export let hubStarted = 0;
/** The hub has a newer page; the user decides when to load it. */
export const newerBuild = signal(false);
export const live = computed(() => state.value.at === "open");
/** The time of the last message (hub time), while the socket is closed. */
export const lastMessageBeforeLoss = signal(0);
/** Since when the socket is closed (hub time), once the banner is due; null = connected, or closed for a shorter time. */
export const lostSince = computed(() => (lostAt.value !== null && now.value - lostAt.value >= BANNER_S ? lostAt.value : null));
/** Seconds until the next attempt; null = connecting now. */
export const retryIn = computed(() => {
  void now.value;
  return state.value.at === "waiting" ? Math.max(0, Math.ceil((state.value.until - Date.now()) / 1000)) : null;
});
/** Grows each time there may be a gap: at each connection, and when a tab that was hidden for long is shown. Views that fill gaps from history read this. */
export const connections = signal(0);

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(
  `${scheme}//${location.host}${ROOT}live`,
  (next) => {
    // Also before the first connection: a hub that accepts the socket and sends nothing is offline too.
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
    void reloadUser(); // the account data is older than this socket, which reports only changes from now on
  },
  stillSignedIn,
  undefined,
  reloadUser,
);

/** The time of the last message (hub time), whether the socket is open or not. */
export const lastMessageAt = (): number => hubNow() - (Date.now() - connection.receivedAt) / 1000;

interface SubscribeOptions {
  whileHidden?: boolean;
  /** How long a change may wait to be drawn with others; 0 = not at all. */
  patienceMs?: (data: unknown) => number;
}

/** Subscribes while the page is visible. A tab hidden for long gets no samples, and a new snapshot when it is shown again. */
export function subscribe(name: string, topic: Topic, { whileHidden = false, patienceMs = () => 0 }: SubscribeOptions = {}): () => void {
  const framed: Topic = {
    ...topic,
    // A change that still waits for its frame is dropped at the end: the next user may be another one.
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

export { hubResponds } from "../../wire/http";
export const tryNow = (): void => connection.again();

phase.subscribe((at) => {
  if (at === "ready") connection.start();
  else connection.stop();
});
// An answer to another request, such as a renewal, proves that the hub is back: the socket connects without further waiting.
user.subscribe((who) => {
  if (who) connection.retryNow();
});
