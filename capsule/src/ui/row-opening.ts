import type { TargetedKeyboardEvent, TargetedMouseEvent } from "preact";

/** Attributes of a row that opens something. A click on a link or button in it, and Enter there, act on that alone. */
export const rowOpening = (open: () => void) => ({
  tabIndex: 0,
  onClick: (event: TargetedMouseEvent<HTMLElement>): void => {
    if (!(event.target instanceof Element && event.target.closest("a, button"))) open();
  },
  onKeyDown: (event: TargetedKeyboardEvent<HTMLElement>): void => {
    if (event.key === "Enter" && event.target === event.currentTarget) open();
  },
});
