/** Short lists, which the hub sends in one answer. */

import { useList, type ListState } from "../list-view";

export const useAll = <T extends { id: string }>(load: () => Promise<readonly T[]>, question = ""): ListState<T> =>
  useList<T>(
    async () => ({ items: await load(), next: null }),
    (one) => one.id,
    `${question}|all`,
  );

/** Replaces an item of the same id, or appends it. */
export const put = <T extends { id: string }>(list: ListState<T>, item: T): void =>
  list.set((items) => (items.some(({ id }) => id === item.id) ? items.map((one) => (one.id === item.id ? item : one)) : [...items, item]));

export const drop = <T extends { id: string }>(list: ListState<T>, id: string): void =>
  list.set((items) => items.filter((one) => one.id !== id));
