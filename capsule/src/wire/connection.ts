/** The live socket. It reconnects with growing waits and subscribes again from the last sequence number, or from the start if a number is missing. */

import { backoff } from "../core/live/backoff";
import { pack, type Packable } from "./pack";
import { unpack } from "./unpack";
import type { ErrorMessage, GapMessage, LiveHello, LiveMessage, LiveRequest, TopicMessage } from "./schema.gen";

/** The interval at which silence is checked. A timer that each message restarts would cost as much as reading the messages. */
const CHECK_MS = 5_000;
const SILENT_CHECKS = 1;
const PONG_MS = 10_000;
const OPEN_MS = 10_000;

export interface Topic {
  snapshot(data: unknown): void;
  change(data: unknown, seq: number): void;
  /** Called when the hub refuses the topic. */
  refused?(error: ErrorMessage): void;
  /** For job output: the offset from which to continue. The sequence numbers of such a topic are offsets, which stay valid after a restart of the hub. */
  offset?(): number;
}

/** The value of `WebSocket.OPEN`; tests run without WebSocket. */
const OPEN = 1;

/** `until`: when the next attempt starts. `since`: when the connection was lost. Both in Unix milliseconds. */
export type LinkState = { at: "connecting" } | { at: "open" } | { at: "waiting"; until: number; since: number } | { at: "closed" };

interface Watch {
  topic: Topic;
  seq: number | null;
}

/** The functions of the browser that a test replaces. */
export interface BrowserEnvironment {
  open(url: string): WebSocket;
  now(): number;
  random(): number;
}

const browser: BrowserEnvironment = {
  open: (url) => new WebSocket(url),
  now: () => Date.now(),
  random: () => Math.random(),
};

export class Connection {
  readonly #watches = new Map<string, Watch>();
  #socket: WebSocket | null = null;
  #ready = false;
  #hub = "";
  #attempt = 0;
  #lostAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;
  #wanted = false;
  #received = false;
  #receivedAt = 0;

  /** When the last message arrived, by this machine's clock in Unix milliseconds. */
  get receivedAt(): number {
    return this.#receivedAt;
  }

  constructor(
    readonly url: () => string,
    readonly onState: (state: LinkState) => void,
    readonly onHello: (hello: LiveHello) => void,
    /** Called before each attempt after a loss; false = wait again. If the session is over, the callee stops the connection. */
    readonly mayConnect: () => Promise<boolean>,
    readonly around: BrowserEnvironment = browser,
    /** Called when the rights of this account may have changed. */
    readonly onRights: () => void = () => undefined,
  ) {}

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    this.#connect();
  }

  stop(): void {
    this.#wanted = false;
    this.#drop();
    clearTimeout(this.#timer);
    this.onState({ at: "closed" });
  }

  /** Connects now instead of at the end of the wait. */
  retryNow(): void {
    if (!this.#wanted || this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  /** Replaces an open socket by a new one, which subscribes to all topics from the start. Without a socket, connects now. */
  renew(): void {
    if (this.#ready) {
      for (const watch of this.#watches.values()) watch.seq = null;
      this.#drop();
    }
    this.retryNow();
  }

  /** Subscribes to a topic. Returns the unsubscriber. */
  subscribe(name: string, topic: Topic): () => void {
    const watch: Watch = { topic, seq: null };
    this.#watches.set(name, watch);
    if (this.#ready) this.#subscribe(name, watch);
    return () => {
      if (this.#watches.get(name) !== watch) return;
      this.#watches.delete(name);
      this.#send(["unsubscribe", { topic: name }]);
    };
  }

  #connect(): void {
    this.onState({ at: "connecting" });
    const socket = this.around.open(this.url());
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#ready = false;
    this.#setSilenceTimer(OPEN_MS, () => this.#lost(socket));
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.#socket === socket) this.#receive(socket, event.data);
    };
    socket.onclose = socket.onerror = () => this.#lost(socket);
  }

  #receive(socket: WebSocket, data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return this.#lost(socket);
    let message: LiveMessage;
    try {
      message = unpack(data) as LiveMessage;
    } catch {
      return this.#lost(socket);
    }
    this.#received = true;
    this.#receivedAt = this.around.now();
    switch (message[0]) {
      case "hello":
        this.#watchSilence(socket);
        return this.#hello(message[1]);
      case "snapshot":
      case "change":
        return this.#data(message[0], message[1]);
      case "gap":
        return this.#resubscribe(message[1]);
      case "rights":
        return this.onRights();
      case "error":
        this.#watches.get(message[1].topic)?.topic.refused?.(message[1]);
    }
  }

  #hello(hello: LiveHello): void {
    // A restarted hub counts its messages from the beginning; offsets of job output stay valid.
    if (hello.hub_id !== this.#hub) for (const watch of this.#watches.values()) watch.seq = null;
    this.#hub = hello.hub_id;
    this.#attempt = 0;
    this.#lostAt = 0;
    this.#ready = true;
    this.onHello(hello);
    this.onState({ at: "open" });
    for (const [name, watch] of this.#watches) this.#subscribe(name, watch);
  }

  #data(kind: "snapshot" | "change", { topic: name, seq, data }: TopicMessage): void {
    const watch = this.#watches.get(name);
    if (!watch) return;
    if (kind === "snapshot") {
      watch.seq = seq;
      watch.topic.snapshot(data);
      return;
    }
    if (!watch.topic.offset && watch.seq !== null) {
      if (seq <= watch.seq) return;
      if (seq !== watch.seq + 1) return this.#resubscribe({ topic: name });
    }
    watch.seq = seq;
    watch.topic.change(data, seq);
  }

  #resubscribe({ topic: name }: GapMessage): void {
    const watch = this.#watches.get(name);
    if (!watch) return;
    watch.seq = null;
    this.#send(["unsubscribe", { topic: name }]);
    this.#subscribe(name, watch);
  }

  #subscribe(name: string, watch: Watch): void {
    const after = watch.topic.offset ? watch.topic.offset() : watch.seq;
    this.#send(["subscribe", after === null ? { topic: name } : { topic: name, after }]);
  }

  #send(request: LiveRequest): void {
    if (this.#ready && this.#socket?.readyState === OPEN) this.#socket.send(pack(request as unknown as Packable));
  }

  /** Pings a hub that was silent for a whole check interval. Without an answer within `PONG_MS` the socket is replaced. */
  #watchSilence(socket: WebSocket, silent = 0): void {
    this.#received = false;
    const pinged = silent === SILENT_CHECKS;
    if (pinged) this.#send(["ping", {}]);
    this.#setSilenceTimer(pinged ? PONG_MS : CHECK_MS, () => {
      if (pinged && !this.#received) this.#lost(socket);
      else this.#watchSilence(socket, this.#received ? 0 : silent + 1);
    });
  }

  #setSilenceTimer(ms: number, then: () => void): void {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(then, ms);
  }

  #drop(): void {
    clearTimeout(this.#silenceTimer);
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    if (!socket) return;
    socket.onclose = socket.onerror = socket.onmessage = null;
    socket.close();
  }

  #lost(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#drop();
    if (!this.#wanted) return;
    this.#wait();
  }

  #wait(): void {
    const now = this.around.now();
    this.#lostAt ||= now;
    const wait = backoff(this.#attempt, this.around.random()) * 1000;
    this.#attempt += 1;
    this.onState({ at: "waiting", until: now + wait, since: this.#lostAt });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tryConnect(), wait);
  }

  async #tryConnect(): Promise<void> {
    const may = await this.mayConnect();
    if (!this.#wanted || this.#socket) return;
    if (may) this.#connect();
    else this.#wait();
  }
}
