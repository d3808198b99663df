import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/say";
import { user } from "../../state/session";
import { ApiError } from "../../state/types";
import { ROLE_WORDS } from "../../core/access";
import { Button } from "../../ui/button";
import { Empty, Failure, Loading } from "../../ui/parts";

export interface Listed<T> {
  items: readonly T[] | null;
  next: string | null;
  failure: ApiError | null;
  load: () => void;
  more: () => void;
  /** Changes what is shown without asking again. */
  set: (change: (items: readonly T[]) => readonly T[]) => void;
}

/** Pages of a list. `key` changing loads it anew; an answer that comes late for an older key is dropped. */
export function useListed<T>(load: (cursor?: string) => Promise<{ items: readonly T[]; next: string | null }>, key = ""): Listed<T> {
  const [items, setItems] = useState<readonly T[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const turn = useRef(0);
  const get = async (cursor?: string): Promise<void> => {
    const mine = ++turn.current;
    try {
      const page = await load(cursor);
      if (turn.current !== mine) return;
      setItems((before) => (cursor ? [...(before ?? []), ...page.items] : page.items));
      setNext(page.next);
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn.current === mine) setFailure(error);
    }
  };
  useEffect(() => {
    void get();
    return () => {
      turn.current += 1;
    };
  }, [key]);
  return { items, next, failure, load: () => void get(), more: () => void (next && get(next)), set: (change) => setItems((before) => before && change(before)) };
}

/** What a role may not see, said plainly. */
export function Refused({ what }: { what: string }): VNode {
  const who = user.value;
  return <Empty icon="lock" title={t`Your role does not allow this`} text={t`You are signed in as ${who?.username ?? ""}, ${who ? ROLE_WORDS[who.role].toLowerCase() : ""}. ${what} An admin can change your role.`} />;
}

interface Props<T> {
  list: Listed<T>;
  /** "the users": fits "could not be read" and "Loading …". */
  what: string;
  /** Said when the hub refuses. */
  refused: string;
  empty: VNode;
  children: (items: readonly T[]) => ComponentChildren;
}

/** A list in each of its states. */
export function ListView<T>({ list, what, refused, empty, children }: Props<T>): VNode {
  const { items, failure } = list;
  if (failure?.status === 403) return <Refused what={refused} />;
  if (failure && !items) return <Failure title={t`${what[0]?.toUpperCase() ?? ""}${what.slice(1)} could not be read`} error={failure} onRetry={list.load} />;
  if (!items) return <Loading what={what} onRetry={list.load} />;
  if (!items.length) return empty;
  return (
    <div class="stack">
      {children(items)}
      {failure && (
        <p class="wrong" role="alert">
          {failure.detail}
        </p>
      )}
      {list.next && (
        <div>
          <Button onClick={list.more}>{t`Show more`}</Button>
        </div>
      )}
    </div>
  );
}
