/** The button below a list that has more rows. When it disappears with the last page, the first new row gets the focus. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../core/text";
import { Button } from "./button";

const LISTS = "[role=table],tbody,ul,ol";

interface PressedState {
  list: Element;
  last: Element | null;
  count: number;
}

/** The list above the button, as it is now. */
function above(box: Element | null): PressedState | null {
  for (let at = box?.previousElementSibling; at; at = at.previousElementSibling) {
    const list = at.matches(LISTS) ? at : at.querySelector(LISTS);
    if (list) return { list, last: list.lastElementChild, count: list.children.length };
  }
  return null;
}

/** Focuses the first new row, or the list if there is none. */
function moveFocus({ list, last, count }: PressedState): void {
  const row = last?.isConnected ? last.nextElementSibling : list.children[count];
  const aim = (row ?? list) as HTMLElement;
  if (!aim.hasAttribute("tabindex")) aim.tabIndex = -1;
  aim.focus();
}

interface Props {
  /** Whether there are more rows. */
  more: boolean;
  onMore: () => void;
  class?: string;
  children?: ComponentChildren;
}

export function ShowMore({ more, onMore, class: extra, children = t`Show more` }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const pressed = useRef<PressedState | null>(null);
  // Reads the focus while the button still exists.
  const loses = !more && box.current?.contains(document.activeElement) === true;
  useLayoutEffect(() => {
    if (loses && pressed.current) moveFocus(pressed.current);
  }, [loses]);
  if (!more) return null;
  const press = (): void => {
    pressed.current = above(box.current);
    onMore();
  };
  return (
    <div ref={box} class={extra}>
      <Button onClick={press}>{children}</Button>
    </div>
  );
}
