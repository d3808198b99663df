/** Unsent input of each method to add servers, without secrets. It is in memory only, until it is sent or the session ends. */

import { useEffect, useRef, useState } from "preact/hooks";
import { onSessionEnd, phase } from "../../state/session";
import { EMPTY_COMMAND, EMPTY_CONNECTION, EMPTY_LIST, sameForm, withoutSecrets, type CommandForm, type ConnectionForm, type ListForm } from "./connection-form";

export interface Draft<T> {
  get(): T;
  keep(typed: T): void;
  /** With `sent`: drops only that, and not later input. */
  drop(sent?: T): void;
  /** Whether there is a draft. */
  left(): boolean;
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
    left: () => stored !== nothing,
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
  /** The input was sent or discarded: nothing is kept when the dialog closes. */
  settle: () => void;
}

/** The input of a dialog, kept as a draft however the dialog closes. `null`: no draft. */
export function useDraft<T>(draft: Draft<T> | null, nothing: T): DraftState<T> {
  const [typed, setTyped] = useState<T>(() => (draft ? draft.get() : nothing));
  const [left] = useState(() => draft?.left() ?? false);
  const held = useRef({ typed, settled: draft === null });
  held.current.typed = typed;
  useEffect(
    () => () => {
      // A dialog that closes with its session leaves no draft.
      if (!held.current.settled && phase.peek() === "ready") draft?.keep(held.current.typed);
    },
    [],
  );
  const settle = (): void => {
    held.current.settled = true;
    draft?.drop();
  };
  return { typed, type: setTyped, left, settle };
}
