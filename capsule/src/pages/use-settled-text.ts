import { useEffect, useRef, useState } from "preact/hooks";

const SETTLE_MS = 300;

/** The typed text of a field, and its setter. `onSettled` gets the trimmed text when typing pauses. A change of `text` from outside replaces the typed text. */
export function useSettledText(text: string, onSettled: (text: string) => void): [string, (typed: string) => void] {
  const [typed, setTyped] = useState(text);
  const settled = useRef(text);
  useEffect(() => {
    if (text !== settled.current) setTyped((settled.current = text));
  }, [text]);
  useEffect(() => {
    if (typed.trim() === settled.current) return undefined;
    const timer = setTimeout(() => onSettled((settled.current = typed.trim())), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return [typed, setTyped];
}
