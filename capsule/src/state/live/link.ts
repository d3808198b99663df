/** The one live socket of this tab, and what the page shows of it. */

import { computed, signal } from "@preact/signals";
import { Connection, type LinkState, type Topic } from "../../wire/connection";
import { ROOT } from "../../wire/http";
import { hubNow, now, setHubTime, tick } from "../clock";
import { onFrame } from "./frame-batch";
import { phase, reloadUser, stillSignedIn, user } from "../session";

/** So long after the loss it is told: three seconds, less what drawing takes. */
const BANNER_S = 2.9;
const HIDDEN_MS = 30_000;

const state = signal<LinkState>({ at: "closed" });
const lostAt = signal<number | null>(null);
const builtAs = document.querySelector<HTMLMetaElement>('meta[name="stardust-build"]')?.content ?? "";

/** When the hub was. */
export let hubStarted = 0;
/** A newer page is there; loading it is the user's decision. */
export const newerBuild = signal(false);
export const live = computed(() => state.value.at === "open");
/** When the last came (hub time), while there is no link. */
export const heardAt = signal(0);
/** Since when there is no link (hub time), once that is worth saying; null = all is well. */
export const lostSince = computed(() => (lostAt.value !== null && now.value - lostAt.value >= BANNER_S ? lostAt.value : null));
/** Seconds until the next attempt; null = trying right now. */
export const retryIn = computed(() => (state.value.at === "waiting" ? Math.max(0, Math.ceil((state.value.until - Date.now()) / 1000 + now.value * 0)) : null));
/** Grows with each connection made: who fills holes from history watches this. */
export const connections = signal(0);

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(
  `${scheme}//${location.host}${ROOT}live`,
  (next) => {
    // Also before the first one stands: a hub that takes the call and says nothing is away as well.
    const lost = next.at !== "open" && next.at !== "closed";
    if (lost && lostAt.peek() === null) {
      setTimeout(tick, BANNER_S * 1000 + 1);
      heardAt.value = lastHeard();
    }
    lostAt.value = lost ? (lostAt.peek() ?? hubNow()) : null;
    state.value = next;
  },
  (hello) => {
    setHubTime(hello.now);
    hubStarted = hello.started_at;
    connections.value += 1;
    if (builtAs && hello.build && hello.build !== builtAs) newerBuild.value = true;
    void reloadUser(); // what is known of the account is older than this socket, which tells of changes from now on only
  },
  stillSignedIn,
  undefined,
  reloadUser,
);

/** When anything came last (hub time), whether the link stands or not. */
export const lastHeard = (): number => hubNow() - (Date.now() - connection.heardAt) / 1000;

interface How {
  whileHidden?: boolean;
  /** How long a change may wait for others to be drawn with; 0 = not at all. */
  patienceMs?: (data: unknown) => number;
}

/** Subscribes for as long as the page is seen: a tab hidden for long gets no samples, and a new snapshot when it is back. */
export function subscribe(name: string, topic: Topic, { whileHidden = false, patienceMs = () => 0 }: How = {}): () => void {
  const framed: Topic = {
    ...topic,
    // What still waits for its frame when this ends is nobody's any more: the next one here may be somebody else.
    snapshot: (data) => onFrame(() => end && topic.snapshot(data)),
    change: (data, seq) => onFrame(() => end && topic.change(data, seq), patienceMs(data)),
  };
  let end: (() => void) | null = connection.subscribe(name, framed);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const seen = (): void => {
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
  if (!whileHidden) document.addEventListener("visibilitychange", seen);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
    end?.();
    end = null;
  };
}

export { answers } from "../../wire/http";
export const tryNow = (): void => connection.again();

phase.subscribe((at) => {
  if (at === "ready") connection.start();
  else connection.stop();
});
// A hub that has just said who this is, at a renewal say, is there: what waits for it need wait no longer.
user.subscribe((who) => {
  if (who) connection.retryNow();
});
