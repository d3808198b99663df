import { useEffect, useState } from "preact/hooks";

const query = matchMedia("(max-width: 760px)");

/** Whether the screen is as narrow as a phone. */
export function useIsPhone(): boolean {
  const [phone, setPhone] = useState(query.matches);
  useEffect(() => {
    const changed = (): void => setPhone(query.matches);
    changed(); // the screen may have turned since the first drawing
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return phone;
}
