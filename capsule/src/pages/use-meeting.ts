import { useState } from "preact/hooks";
import { meet, type Meeting } from "../core/text/meeting";
import { ApiError } from "../state/types";

interface Form<View, Draft> {
  /** What is edited; undefined or null = something new. */
  read: View | null | undefined;
  /** The fields of something new. */
  empty: () => Draft;
  draftOf: (view: View) => Draft;
  /** Reads it again; undefined = it is gone. */
  reload: (view: View) => Promise<View | undefined>;
  /** Fields that are objects whose own fields do not depend on each other. */
  parts?: readonly (keyof Draft)[];
}

interface Edited<View, Draft> {
  /** What is stored, as far as the page has read it. */
  view: View | null;
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  /** What somebody else has saved meanwhile; null = nobody has. */
  met: Meeting<Draft> | null;
  /** Changes when the draft is replaced: the key of fields that keep what was typed in them. */
  turn: number;
  /** Whether it was saved. If somebody else has saved it meanwhile, nothing was, and what was typed is put upon theirs. */
  save: (send: (view: View | null) => Promise<unknown>) => Promise<boolean>;
  takeTheirs: () => void;
}

/** A form for what two people may change at the same time. `send` names the version of `view`; the hub refuses another one as a conflict. */
export function useMeeting<View extends { version: number }, Draft extends object>(form: Form<View, Draft>): Edited<View, Draft> {
  const { draftOf, reload, parts = [] } = form;
  const [view, setView] = useState(form.read ?? null);
  const [draft, setDraft] = useState(() => (view ? draftOf(view) : form.empty()));
  const [met, setMet] = useState<Meeting<Draft> | null>(null);
  const [turn, setTurn] = useState(0);
  const replace = (next: Draft, found: Meeting<Draft> | null): void => {
    setDraft(next);
    setMet(found);
    setTurn((before) => before + 1);
  };
  const save = async (send: (view: View | null) => Promise<unknown>): Promise<boolean> => {
    try {
      await send(view);
      return true;
    } catch (error) {
      if (!view || !(error instanceof ApiError) || error.code !== "conflict") throw error;
      const theirs = await reload(view);
      if (!theirs || theirs.version === view.version) throw error;
      const found = meet(draftOf(view), draft, draftOf(theirs), parts);
      setView(theirs);
      replace(found.draft, found);
      return false;
    }
  };
  return {
    view,
    draft,
    change: (part) => setDraft((before) => ({ ...before, ...part })),
    met,
    turn,
    save,
    takeTheirs: () => view && replace(draftOf(view), null),
  };
}
