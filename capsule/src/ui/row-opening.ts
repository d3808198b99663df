import type { TargetedKeyboardEvent, TargetedMouseEvent } from "preact";

/** Attributes of a row that opens something. A click or Enter on a link or button within the row does not open it. */
export const rowOpening = (open: () => void) => ({
  tabIndex: 0,
  onClick: (event: TargetedMouseEvent<HTMLElement>): void => {
    if (!(event.target instanceof Element && event.target.closest("a, button"))) open();
  },
  onKeyDown: (event: TargetedKeyboardEvent<HTMLElement>): void => {
    if (event.key === "Enter" && event.target === event.currentTarget) open();
  },
});
