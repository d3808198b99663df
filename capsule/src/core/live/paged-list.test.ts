import assert from "node:assert/strict";
import { test } from "node:test";
import { PagedList, type Page } from "./paged-list";

const SIZE = 3;

interface Hub {
  items: string[];
  asked: (string | undefined)[];
  shown: Page<string>[];
  failures: unknown[];
  /** Releases the next answer, with the items of that moment. */
  answer(): Promise<void>;
  list: PagedList<string, Page<string>>;
}

/** Newest first; a cursor is the last item before the page, as in the hub. */
function hub(...items: string[]): Hub {
  const waiting: (() => void)[] = [];
  const made: Hub = {
    items,
    asked: [],
    shown: [],
    failures: [],
    answer: async () => {
      waiting.shift()?.();
      await new Promise((done) => setImmediate(done));
    },
    list: new PagedList<string, Page<string>>(
      async (cursor) => {
        made.asked.push(cursor);
        await new Promise<void>((done) => waiting.push(done));
        const rest = made.items.filter((item) => cursor === undefined || item < cursor);
        if (rest.includes("broken")) throw new Error("broken");
        return { items: rest.slice(0, SIZE), next: rest.length > SIZE ? (rest[SIZE - 1] as string) : null };
      },
      (item) => item,
      (all) => made.shown.push(all),
      (error) => made.failures.push(error),
    ),
  };
  return made;
}

const settle = (): Promise<void> => new Promise((done) => setImmediate(done));
const last = ({ shown }: Hub): string => `${shown.at(-1)?.items.join("")} ${shown.at(-1)?.next ?? "-"}`;

test("a refresh reads as much as is shown", async () => {
  const one = hub(..."hgfedcba");
  void one.list.refresh();
  await settle();
  await one.answer();
  assert.equal(last(one), "hgf f");
  void one.list.more();
  await settle();
  await one.answer();
  assert.equal(last(one), "hgfedc c");
  one.items = [..."ihgfedcba"];
  void one.list.refresh();
  await settle();
  assert.equal(one.shown.length, 2, "nothing is taken away meanwhile");
  await one.answer();
  assert.equal(one.shown.length, 2);
  await one.answer();
  assert.equal(last(one), "ihgfed d");
});

test("a requested page is neither lost nor doubled by a change", async () => {
  const one = hub(..."hgfedcba");
  void one.list.refresh();
  await settle();
  await one.answer();
  void one.list.more();
  void one.list.more();
  await settle();
  one.items = [..."ihgfedcba"];
  for (let change = 0; change < 5; change += 1) void one.list.refresh();
  await one.answer();
  assert.equal(last(one), "hgfedc c");
  await one.answer();
  await one.answer();
  assert.equal(last(one), "ihgfed d");
  assert.deepEqual(one.asked, [undefined, "f", undefined, "g"], "one request at a time; five changes cause one request");
});

test("an item that moved between two pages appears once", async () => {
  const one = hub(..."fed");
  const pages = [
    ["a", "b"],
    ["b", "c"],
  ];
  const shown: Page<string>[] = [];
  const list = new PagedList<string, Page<string>>(
    async (cursor) => ({ items: pages[cursor ? 1 : 0] as string[], next: cursor ? null : "x" }),
    one.list.key,
    (all) => shown.push(all),
    assert.ifError,
  );
  await list.refresh();
  await list.more();
  assert.deepEqual(shown.at(-1), { items: ["a", "b", "c"], next: null });
  await list.more();
  assert.equal(shown.length, 2);
});

test("the first read has the requested number of pages, and later reads as many as are shown", async () => {
  const pages: Page<string>[] = [
    { items: ["a", "b"], next: "1" },
    { items: ["c", "d"], next: "2" },
    { items: ["e"], next: null },
  ];
  const shown: Page<string>[] = [];
  const asked: (string | undefined)[] = [];
  const list = new PagedList<string, Page<string>>(
    async (cursor) => (asked.push(cursor), pages[Number(cursor ?? 0)] as Page<string>),
    String,
    (all) => shown.push(all),
    assert.ifError,
    2,
  );
  assert.equal(list.pages, 0);
  await list.refresh();
  assert.deepEqual(shown, [{ items: ["a", "b", "c", "d"], next: "2" }]);
  assert.equal(list.pages, 2);
  await list.more();
  assert.equal(list.pages, 3);
  pages[0] = { items: ["z", "a", "b", "c", "d", "e"], next: null };
  await list.refresh();
  assert.deepEqual(shown.at(-1), pages[0]);
  assert.equal(list.pages, 1);
  assert.deepEqual(asked, [undefined, "1", "2", undefined]);
});

test("a failure keeps the shown items, and the next request runs", async () => {
  const one = hub(..."cba");
  void one.list.refresh();
  await settle();
  await one.answer();
  one.items = ["broken"];
  void one.list.refresh();
  await settle();
  await one.answer();
  assert.equal(one.failures.length, 1);
  assert.equal(last(one), "cba -");
  one.items = [..."dcba"];
  void one.list.refresh();
  await settle();
  await one.answer();
  await one.answer();
  assert.equal(last(one), "dcb b");
  void one.list.refresh();
  one.list.close();
  await settle();
  await one.answer();
  assert.equal(one.shown.length, 2);
});

test("a local change outlasts an earlier request", async () => {
  const one = hub(..."hgfedcba");
  void one.list.refresh();
  await settle();
  await one.answer();
  void one.list.more();
  await settle();
  one.items = [..."hfedcba"];
  one.list.change((items) => items.filter((item) => item !== "g"));
  assert.equal(last(one), "hf f");
  await one.answer();
  assert.equal(last(one), "hfedc c", "the next page is appended to the current items");
  void one.list.refresh();
  await settle();
  const asked = one.asked.length;
  one.list.change((items) => items.filter((item) => item !== "h"));
  one.items = [..."fedcba"];
  for (let left = 6; left; left -= 1) await one.answer();
  assert.ok(one.asked.length > asked + 1, "the list is read again, because the first answer may lack the change");
  assert.equal(last(one), "fedcba -");
});
