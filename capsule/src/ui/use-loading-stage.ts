import { useEffect, useState } from "preact/hooks";

const QUIET_MS = 150;
const LONG_MS = 8000;

/** The stage of a wait: 0 = show nothing yet, 1 = show a skeleton, 2 = show a sentence. */
export function useLoadingStage(): number {
  const [stage, setStage] = useState(0);
  useEffect(() => {
    const timers = [setTimeout(() => setStage(1), QUIET_MS), setTimeout(() => setStage(2), LONG_MS)];
    return () => timers.forEach(clearTimeout);
  }, []);
  return stage;
}
