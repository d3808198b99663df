import type { ComponentChildren, VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Page } from "../core/live/paged-list";
import { t } from "../core/text";
import { user } from "../state/session";
import type { ApiError } from "../state/types";
import { ROLE_LABELS } from "../core/access/account-labels";
import { Empty, Failure, Loading } from "../ui";
import { StaleNotice } from "../ui/stale-notice";
import { ShowMore } from "../ui/show-more";
import { usePaged } from "./use-paged";

export interface ListState<T> {
  items: readonly T[] | null;
  next: string | null;
  failure: ApiError | null;
  load: () => void;
  more: () => void;
  /** Changes the shown items without a request. */
  set: (change: (items: readonly T[]) => readonly T[]) => void;
}

/** A list that is loaded page by page. It starts again when `question` changes. */
export function useList<T>(load: (cursor?: string) => Promise<Page<T>>, key: (item: T) => string, question = ""): ListState<T> {
  const { list, found, failure } = usePaged<T, Page<T>>(load, key, [question]);
  useEffect(() => void list.refresh(), [list]);
  return {
    items: found?.items ?? null,
    next: found?.next ?? null,
    failure,
    load: () => void list.refresh(),
    more: () => void list.more(),
    set: (change) => list.change(change),
  };
}

type Listed<K extends string, T> = Readonly<Record<K, readonly T[]>> & { next: string | null };

/** The pages of a list that the hub answers under the name `field`. */
export const pageOf =
  <K extends string, T>(load: (cursor?: string) => Promise<Listed<K, T>>, field: K) =>
  async (cursor?: string): Promise<Page<T>> => {
    const page = await load(cursor);
    return { items: page[field], next: page.next };
  };

/** A notice that the user's role does not allow something. */
export function RoleRefusal({ what }: { what: string }) {
  const who = user.value;
  return (
    <Empty
      icon="lock"
      title={t`Your role does not allow this`}
      text={t`You are signed in as ${who?.username ?? ""}, ${who ? ROLE_LABELS[who.role].toLowerCase() : ""}. ${what} An admin can change your role.`}
    />
  );
}

interface Props<T> {
  list: ListState<T>;
  /** "the users": fits "could not be read" and "Loading …". */
  what: string;
  /** A sentence for users whose role may not see the list. */
  refused: string;
  empty: VNode;
  children: (items: readonly T[]) => ComponentChildren;
}

/** A list in any state: refused, failed, loading, empty or filled. */
export function ListView<T>({ list, what, refused, empty, children }: Props<T>) {
  const { items, failure } = list;
  if (failure?.status === 403) return <RoleRefusal what={refused} />;
  if (failure && !items)
    return <Failure title={t`${what[0]?.toUpperCase() ?? ""}${what.slice(1)} could not be read`} error={failure} onRetry={list.load} />;
  if (!items) return <Loading what={what} onRetry={list.load} />;
  return (
    <div class="stack">
      <StaleNotice failure={failure} onRetry={list.load} />
      {items.length ? children(items) : empty}
      <ShowMore more={items.length > 0 && list.next !== null} onMore={list.more} />
    </div>
  );
}
