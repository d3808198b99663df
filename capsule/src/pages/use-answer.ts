import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../state/types";

interface Answer<T> {
  /** The last answer; null = none yet. */
  found: T | null;
  failure: ApiError | null;
  load: () => void;
  /** Replaces the answer, by that of a change. */
  set: (answer: T) => void;
}

/** The answer to one request, which is sent again when `question` changes. A late answer to an earlier request is dropped. */
export function useAnswer<T>(read: () => Promise<T>, question: readonly unknown[] = []): Answer<T> {
  const [found, setFound] = useState<T | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const last = useRef(0);
  const load = async (): Promise<void> => {
    const mine = ++last.current;
    setFailure(null);
    try {
      const answer = await read();
      if (mine === last.current) setFound(() => answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === last.current) setFailure(error);
    }
  };
  useEffect(() => {
    void load();
    return () => void (last.current += 1);
  }, question);
  return { found, failure, load: () => void load(), set: (answer) => setFound(() => answer) };
}
