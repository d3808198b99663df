import { useEffect, useRef, useState } from "preact/hooks";

const SETTLE_MS = 300;

/** The text of a search field, and its setter. `onSettled` gets the trimmed text when typing pauses. A text that is set from outside replaces the typed one. */
export function useSettledText(text: string, onSettled: (text: string) => void): [string, (typed: string) => void] {
  const [typed, setTyped] = useState(text);
  const told = useRef(text);
  useEffect(() => {
    if (text !== told.current) setTyped((told.current = text));
  }, [text]);
  useEffect(() => {
    if (typed.trim() === told.current) return undefined;
    const timer = setTimeout(() => onSettled((told.current = typed.trim())), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return [typed, setTyped];
}
