import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../../state/types";

export interface Polled<T> {
  found: T | null;
  failure: ApiError | null;
  load: () => void;
  /** Shows an answer that arrived otherwise, and polls again: the answer to a running request may be older. */
  see: (found: T) => void;
}

/** Sends a request every `everyMs` while `mayChange` is true for its answer. It pauses while the page is hidden, and ends if the hub answers 403 or 404. */
export function usePolling<T>(key: string, everyMs: number, read: () => Promise<T>, mayChange: (found: T) => boolean): Polled<T> {
  const [found, setFound] = useState<T | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  const load = (): void => setTurn((before) => before + 1);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let left = false;
    const ask = async (): Promise<void> => {
      let more = true;
      if (!document.hidden) {
        try {
          const answer = await read();
          if (left) return;
          setFound(() => answer);
          setFailure(null);
          more = mayChange(answer);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (left) return;
          setFailure(error);
          more = error.status !== 404 && error.status !== 403;
        }
      }
      if (more && !left) timer = setTimeout(() => void ask(), everyMs);
    };
    void ask();
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [key, turn]);
  const see = (answer: T): void => {
    setFound(() => answer);
    load();
  };
  return { found, failure, load, see };
}
