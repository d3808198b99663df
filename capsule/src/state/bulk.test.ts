import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../wire/http";
import { forEachLimited, concernsUser } from "./bulk";

const THINGS = [1, 2, 3, 4, 5, 6];
const refused = (code: ApiError["code"]): ApiError => new ApiError(code, 403, code);

/** Actions that end when the test calls `end`. */
function controlled(): { begun: number[]; act: (one: number) => Promise<void>; end: (one: number) => Promise<void> } {
  const begun: number[] = [];
  const ends = new Map<number, () => void>();
  const act = (one: number): Promise<void> => {
    begun.push(one);
    return new Promise((resolve) => ends.set(one, resolve));
  };
  const end = async (one: number): Promise<void> => {
    ends.get(one)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, act, end };
}

test("after a stop no item starts, running items finish, and the rest is reported as not started", async () => {
  const { begun, act, end } = controlled();
  let stopped = false;
  const through: number[] = [];
  const outcome = forEachLimited(THINGS, 2, act, { onProgress: (count) => through.push(count), stopIf: () => stopped });
  await end(1);
  assert.deepEqual(begun, [1, 2, 3]);
  stopped = true;
  await end(2);
  await end(3);
  assert.deepEqual(await outcome, { done: [1, 2, 3], failed: [], left: [4, 5, 6] });
  assert.deepEqual(begun, [1, 2, 3]);
  assert.deepEqual(through, [1, 2, 3]);
});

test("with `alone` the first item runs alone, and then the others run in parallel up to the limit", async () => {
  const { begun, act, end } = controlled();
  const outcome = forEachLimited(THINGS, 4, act, { alone: true });
  assert.deepEqual(begun, [1]);
  await end(1);
  assert.deepEqual(begun, [1, 2, 3, 4, 5]);
  for (const one of THINGS) await end(one);
  assert.deepEqual((await outcome).left, []);
});

test("a refusal of the user ends the run, and a refusal of one item does not", async () => {
  const act =
    (code: ApiError["code"]) =>
    async (one: number): Promise<void> => {
      if (one === 2) throw refused(code);
    };
  const stopIf = ({ failed }: { failed: { error: ApiError }[] }): boolean => failed.some(({ error }) => concernsUser(error));
  const whole = await forEachLimited(THINGS, 1, act("not_found" as ApiError["code"]), { stopIf });
  assert.deepEqual([whole.done, whole.failed.map(({ one }) => one), whole.left], [[1, 3, 4, 5, 6], [2], []]);
  const cut = await forEachLimited(THINGS, 1, act("auth.step_up_required"), { stopIf });
  assert.deepEqual([cut.done, cut.failed.map(({ one }) => one), cut.left], [[1], [2], [3, 4, 5, 6]]);
});

test("an error other than a refusal is thrown", async () => {
  await assert.rejects(
    forEachLimited(THINGS, 2, async () => Promise.reject(new TypeError("ours"))),
    TypeError,
  );
});
