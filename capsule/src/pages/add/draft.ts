/** Drafts: the unsent input of each method to add servers, without the fields for secrets. They are in memory until they are sent or discarded, or the session ends. */

import { useEffect, useRef, useState } from "preact/hooks";
import { onSessionEnd, phase } from "../../state/session";
import {
  EMPTY_COMMAND,
  EMPTY_CONNECTION,
  EMPTY_LIST,
  sameForm,
  withoutSecrets,
  type CommandForm,
  type ConnectionForm,
  type ListForm,
} from "./connection-form";

export interface Draft<T> {
  get(): T;
  keep(typed: T): void;
  /** Drops the draft. With `sent`: drops it only if it still has this input. */
  drop(sent?: T): void;
  exists(): boolean;
}

function draftOf<T extends object>(nothing: T, clean: (typed: T) => T): Draft<T> {
  let stored = nothing;
  const drop = (sent?: T): void => {
    if (!sent || sameForm(stored, clean(sent))) stored = nothing;
  };
  onSessionEnd(() => drop());
  return {
    get: () => stored,
    keep(typed) {
      const left = clean(typed);
      stored = sameForm(left, nothing) ? nothing : left;
    },
    drop,
    exists: () => stored !== nothing,
  };
}

export const oneDraft: Draft<ConnectionForm> = draftOf(EMPTY_CONNECTION, withoutSecrets);
export const listDraft: Draft<ListForm> = draftOf(EMPTY_LIST, (typed) => ({ ...typed, entries: withoutSecrets(typed.entries) }));
export const commandDraft: Draft<CommandForm> = draftOf(EMPTY_COMMAND, (typed) => typed);

interface DraftState<T> {
  typed: T;
  type: (change: (before: T) => T) => void;
  /** Whether the form began with a draft. */
  left: boolean;
  /** Call this when the input was sent or discarded: no draft is stored when the dialog closes. */
  settle: () => void;
}

/** The input of a dialog, which is stored as a draft when the dialog closes. Without `draft` nothing is stored. */
export function useDraft<T>(draft: Draft<T> | null, nothing: T): DraftState<T> {
  const [typed, setTyped] = useState<T>(() => (draft ? draft.get() : nothing));
  const [left] = useState(() => draft?.exists() ?? false);
  const latest = useRef({ typed, settled: draft === null });
  latest.current.typed = typed;
  useEffect(
    () => () => {
      // A dialog that closes with its session leaves no draft.
      if (!latest.current.settled && phase.peek() === "ready") draft?.keep(latest.current.typed);
    },
    [],
  );
  const settle = (): void => {
    latest.current.settled = true;
    draft?.drop();
  };
  return { typed, type: setTyped, left, settle };
}
