/** A short list that the hub sends whole. */

import { useList, type ListState } from "../list-view";

export const useAll = <T extends { id: string }>(load: () => Promise<readonly T[]>, question = ""): ListState<T> => useList<T>(async () => ({ items: await load(), next: null }), (one) => one.id, question);

/** Puts a new or changed item in its place. */
export const put = <T extends { id: string }>(list: ListState<T>, item: T): void => list.set((held) => (held.some(({ id }) => id === item.id) ? held.map((one) => (one.id === item.id ? item : one)) : [...held, item]));

export const drop = <T extends { id: string }>(list: ListState<T>, id: string): void => list.set((held) => held.filter((one) => one.id !== id));
