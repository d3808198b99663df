import { decode, encode } from "@msgpack/msgpack";
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Connection, type LinkState, type BrowserEnvironment, type Topic } from "./connection";

/** A socket whose other end is the test. */
class End {
  binaryType = "blob";
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  sent: unknown[] = [];
  closed = false;

  readonly readyState = 1;

  send(bytes: Uint8Array): void {
    this.sent.push(decode(bytes));
  }

  close(): void {
    this.closed = true;
  }

  say(message: unknown): void {
    const bytes = encode(message);
    this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer });
  }
}

interface Rig {
  connection: Connection;
  ends: End[];
  states: LinkState[];
  hello(hub?: string): End;
}

function rig(mayConnect = async (): Promise<boolean> => true, onRights = (): void => undefined): Rig {
  const ends: End[] = [];
  const states: LinkState[] = [];
  const around: BrowserEnvironment = {
    open: () => {
      const end = new End();
      ends.push(end);
      return end as unknown as WebSocket;
    },
    now: () => 0,
    random: () => 0.999,
  };
  const connection = new Connection(
    () => "ws://x",
    (state) => states.push(state),
    () => undefined,
    mayConnect,
    around,
    onRights,
  );
  return {
    connection,
    ends,
    states,
    hello: (hub = "one") => {
      const end = ends.at(-1) as End;
      end.say(["hello", { hub_id: hub, build: "b", now: 1, started_at: 0, session_expires_at: 2 }]);
      return end;
    },
  };
}

const listener = (got: unknown[], offset?: () => number): Topic => ({
  snapshot: (data) => got.push(["snapshot", data]),
  change: (data, seq) => got.push(["change", data, seq]),
  ...(offset ? { offset } : {}),
});

test("a topic is subscribed after the hello, and its sequence numbers are checked", () => {
  const { connection, hello } = rig();
  const got: unknown[] = [];
  connection.subscribe("fleet", listener(got));
  connection.start();
  const end = hello();
  assert.deepEqual(end.sent, [["subscribe", { topic: "fleet" }]]);
  end.say(["snapshot", { topic: "fleet", seq: 4, data: "all" }]);
  end.say(["change", { topic: "fleet", seq: 5, data: "a" }]);
  end.say(["change", { topic: "fleet", seq: 5, data: "again" }]);
  assert.deepEqual(got, [
    ["snapshot", "all"],
    ["change", "a", 5],
  ]);
  connection.stop();
});

test("after a missing number the topic is subscribed from the start", () => {
  const { connection, hello } = rig();
  const got: unknown[] = [];
  connection.subscribe("fleet", listener(got));
  connection.start();
  const end = hello();
  end.say(["snapshot", { topic: "fleet", seq: 4, data: "all" }]);
  end.say(["change", { topic: "fleet", seq: 6, data: "b" }]);
  assert.deepEqual(got, [["snapshot", "all"]]);
  assert.deepEqual(end.sent.slice(1), [
    ["unsubscribe", { topic: "fleet" }],
    ["subscribe", { topic: "fleet" }],
  ]);
  connection.stop();
});

test("after a loss it waits, reconnects and continues after the last number", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { connection, ends, states, hello } = rig();
    const got: unknown[] = [];
    connection.subscribe("fleet", listener(got));
    connection.subscribe(
      "job:1",
      listener([], () => 77),
    );
    connection.start();
    hello().say(["snapshot", { topic: "fleet", seq: 4, data: "all" }]);
    ends[0]?.onclose?.();
    assert.equal(states.at(-1)?.at, "waiting");
    mock.timers.tick(500);
    await Promise.resolve();
    await Promise.resolve();
    assert.equal(ends.length, 2);
    const end = hello();
    assert.deepEqual(end.sent, [
      ["subscribe", { topic: "fleet", after: 4 }],
      ["subscribe", { topic: "job:1", after: 77 }],
    ]);
    end.say(["change", { topic: "fleet", seq: 5, data: "missed" }]);
    assert.deepEqual(
      got,
      [
        ["snapshot", "all"],
        ["change", "missed", 5],
      ],
      "missed changes arrive without a snapshot",
    );
    connection.stop();
  } finally {
    mock.timers.reset();
  }
});

test("a restarted hub counts from the beginning, but output offsets stay valid", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { connection, ends, hello } = rig();
    connection.subscribe("fleet", listener([]));
    connection.subscribe(
      "job:1",
      listener([], () => 77),
    );
    connection.start();
    hello().say(["snapshot", { topic: "fleet", seq: 4, data: "all" }]);
    ends[0]?.onclose?.();
    mock.timers.tick(500);
    await Promise.resolve();
    await Promise.resolve();
    assert.deepEqual(hello("two").sent, [
      ["subscribe", { topic: "fleet" }],
      ["subscribe", { topic: "job:1", after: 77 }],
    ]);
    connection.stop();
  } finally {
    mock.timers.reset();
  }
});

test("after the end of the session there are no more attempts", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { connection, ends, hello } = rig(async () => false);
    connection.start();
    hello();
    ends[0]?.onclose?.();
    mock.timers.tick(20_000);
    await Promise.resolve();
    await Promise.resolve();
    assert.equal(ends.length, 1);
    connection.stop();
  } finally {
    mock.timers.reset();
  }
});

test("a refused attempt is repeated later, or as soon as the page requests it", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    let may = false;
    const { connection, ends, states, hello } = rig(async () => may);
    const turns = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    };
    connection.start();
    hello();
    ends[0]?.onclose?.();
    for (let time = 0; time < 3; time += 1) {
      mock.timers.tick(20_000);
      await turns();
      assert.equal(states.at(-1)?.at, "waiting");
    }
    assert.equal(ends.length, 1);
    may = true;
    mock.timers.tick(20_000);
    await turns();
    assert.equal(ends.length, 2);
    hello();
    ends[1]?.onclose?.();
    connection.retryNow();
    hello();
    mock.timers.tick(5_000);
    await turns();
    assert.equal(ends.length, 3, "the attempt that was scheduled is not made as well");
    connection.stop();
  } finally {
    mock.timers.reset();
  }
});

test("subscribing again requests everything, over another socket", () => {
  const { connection, ends, hello } = rig();
  connection.subscribe("fleet", listener([]));
  connection.start();
  hello().say(["snapshot", { topic: "fleet", seq: 4, data: "all" }]);
  connection.retryNow();
  assert.equal(ends.length, 1, "an open socket stays");
  connection.renew();
  assert.equal(ends[0]?.closed, true);
  connection.renew();
  assert.equal(ends.length, 2, "a socket that is being opened stays");
  assert.deepEqual(hello().sent, [["subscribe", { topic: "fleet" }]]);
  connection.stop();
});

test("a silent hub gets a ping, then its socket is closed", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { connection, states, hello } = rig();
    connection.start();
    const end = hello();
    const quiet = (looks: number): void => {
      for (let look = 0; look < looks; look += 1) mock.timers.tick(5_000);
    };
    for (let time = 0; time < 3; time += 1) {
      end.say(["pong", {}]);
      quiet(1);
    }
    assert.deepEqual(end.sent, []);
    quiet(1);
    assert.deepEqual(end.sent, [["ping", {}]]);
    end.say(["pong", {}]);
    mock.timers.tick(10_000);
    assert.equal(states.at(-1)?.at, "open");
    quiet(1);
    assert.deepEqual(end.sent, [
      ["ping", {}],
      ["ping", {}],
    ]);
    mock.timers.tick(10_000);
    assert.equal(states.at(-1)?.at, "waiting");
    connection.stop();
  } finally {
    mock.timers.reset();
  }
});

test("a change of rights is reported, and subscriptions stay", () => {
  let heard = 0;
  const { connection, hello } = rig(undefined, () => (heard += 1));
  connection.subscribe("fleet", listener([]));
  connection.start();
  const end = hello();
  end.say(["rights", {}]);
  assert.deepEqual([heard, end.sent], [1, [["subscribe", { topic: "fleet" }]]]);
  connection.stop();
});

test("a message that is not MessagePack ends the socket, not the page", () => {
  const { connection, ends, states, hello } = rig();
  connection.start();
  hello();
  ends[0]?.onmessage?.({ data: new Uint8Array([0xc1, 0xff]).buffer });
  assert.equal(states.at(-1)?.at, "waiting");
  connection.stop();
});
