import { useEffect, useState } from "preact/hooks";

const narrow = matchMedia("(max-width: 760px)");
const wide = matchMedia("(min-width: 1100px)");

function useMedia(query: MediaQueryList): boolean {
  const [matches, setMatches] = useState(query.matches);
  useEffect(() => {
    const changed = (): void => setMatches(query.matches);
    changed(); // the screen may have turned since the first drawing
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return matches;
}

/** Whether the screen is as narrow as a phone. */
export const useIsPhone = (): boolean => useMedia(narrow);
/** Whether a list has room for something at its side. */
export const useIsWide = (): boolean => useMedia(wide);
