import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { FIRST_S } from "../core/live/backoff";
import { pollUntilSettled } from "./settled-question";

/** Requests that the test answers. */
function held(): { doubt: () => Promise<void>; asked: () => number; answer: (there?: boolean) => Promise<void> } {
  const waiting: ((there: boolean) => void)[] = [];
  let asked = 0;
  const doubt = pollUntilSettled(() => {
    asked += 1;
    return new Promise((resolve) => waiting.push(resolve));
  });
  const answer = async (there = true): Promise<void> => {
    waiting.shift()?.(there);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { doubt, asked: () => asked, answer };
}

test("after a change during a request there is another request", async () => {
  const { doubt, asked, answer } = held();
  let settled = 0;
  void doubt().then(() => (settled += 1));
  void doubt().then(() => (settled += 1));
  void doubt().then(() => (settled += 1));
  assert.equal(asked(), 1, "one request at a time");
  await answer();
  assert.deepEqual([asked(), settled], [2, 0]);
  await answer();
  assert.deepEqual([asked(), settled], [2, 3], "one more request, however many changes there were");
});

test("without an answer the request is repeated until there is one", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(Math, "random", () => 0);
  try {
    const { doubt, asked, answer } = held();
    void doubt();
    await answer(false);
    mock.timers.tick(FIRST_S * 500 - 1);
    assert.equal(asked(), 1);
    mock.timers.tick(1);
    assert.equal(asked(), 2);
    await answer(false);
    mock.timers.tick(FIRST_S * 1000 - 1);
    assert.equal(asked(), 2, "the wait grows");
    void doubt();
    assert.equal(asked(), 3, "a new change does not wait");
    await answer();
    mock.timers.tick(60_000);
    assert.equal(asked(), 3);
  } finally {
    mock.reset();
  }
});

test("a change at the moment of an answer causes another request", async () => {
  const { doubt, asked, answer } = held();
  void doubt().then(doubt);
  await answer();
  assert.equal(asked(), 2);
});
