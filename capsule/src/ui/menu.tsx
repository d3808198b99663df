import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { cutOff, isLost } from "./hub-link";
import { Icon, type IconName } from "./icon";

export interface MenuItem {
  label: string;
  hint?: string;
  icon?: IconName;
  danger?: boolean;
  /** Whether it asks the hub for something at once: it does nothing while the hub is out of reach. */
  acts?: boolean;
  run: () => void;
}

interface Props {
  label: string;
  /** Groups of items with a line between them. */
  groups: readonly (readonly MenuItem[])[];
  /** Why the menu has no items. */
  note?: string;
  class?: string;
  /** The content of the button. */
  children: ComponentChildren;
}

/** A button that opens a menu. Arrow keys move in the menu, and Escape closes it. */
export function MenuButton({ label, groups, note = "", class: extra = "", children }: Props) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = menu.current;
    if (!open || !box) return;
    box.showPopover();
    const anchor = (button.current as HTMLButtonElement).getBoundingClientRect();
    box.style.top = `${anchor.bottom + 6}px`;
    box.style.left = `${Math.max(16, Math.min(anchor.right - box.offsetWidth, innerWidth - box.offsetWidth - 16))}px`;
    items()[0]?.focus();
    const toggled = (event: Event): void => {
      if ((event as ToggleEvent).newState === "closed") setOpen(false);
    };
    box.addEventListener("toggle", toggled);
    return () => box.removeEventListener("toggle", toggled);
  }, [open]);
  const items = (): HTMLElement[] => [...(menu.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  const move = (step: number): void => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    all[(at + step + all.length) % all.length]?.focus();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        class={`button ${extra}`}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {children}
      </button>
      {open && (
        <div
          ref={menu}
          class="menu"
          popover="auto"
          role="menu"
          aria-label={label}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") move(1);
            else if (event.key === "ArrowUp") move(-1);
            else if (event.key === "Home") items()[0]?.focus();
            else if (event.key === "End") items().at(-1)?.focus();
            else if (event.key === "Escape" || event.key === "Tab") {
              setOpen(false);
              button.current?.focus();
            } else return;
            event.preventDefault();
            event.stopPropagation();
          }}
        >
          {note && <p class="note">{note}</p>}
          {groups
            .filter((group) => group.length)
            .map((group, index) => (
              <div key={index} role="none">
                {(index > 0 || note) && <hr />}
                {group.map((item) => (
                  <button
                    key={item.label}
                    type="button"
                    role="menuitem"
                    tabIndex={-1}
                    class={item.danger ? "danger" : ""}
                    {...(item.acts && cutOff())}
                    onClick={() => {
                      if (item.acts && isLost()) return;
                      setOpen(false);
                      button.current?.focus();
                      item.run();
                    }}
                  >
                    {item.icon && <Icon name={item.icon} />}
                    <span>
                      {item.label} {item.hint && <small>{item.hint}</small>}
                    </span>
                  </button>
                ))}
              </div>
            ))}
        </div>
      )}
    </>
  );
}
