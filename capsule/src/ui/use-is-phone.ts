import { useEffect, useState } from "preact/hooks";

const query = matchMedia("(max-width: 760px)");

/** Follows the width of the screen. */
export function useIsPhone(): boolean {
  const [phone, setPhone] = useState(query.matches);
  useEffect(() => {
    const changed = (): void => setPhone(query.matches);
    changed(); // it may have been turned since the first draw
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return phone;
}
