import { useEffect, useRef } from "preact/hooks";

export interface Tab {
  key: string;
  label: string;
  href: string;
  count?: number;
}

/** `onArrow`: an arrow key moves to this tab. A click follows the link of its tab. */
export function Tabs({
  label,
  tabs,
  current,
  onArrow,
}: {
  label: string;
  tabs: readonly Tab[];
  current: string;
  onArrow: (tab: Tab) => void;
}) {
  const list = useRef<HTMLDivElement>(null);
  // On a phone the tabs are wider than the screen. This centres the current tab, and again when the font has loaded and changed the widths.
  useEffect(() => {
    const chosen = list.current?.querySelector<HTMLElement>("[aria-selected=true]");
    // After an arrow key, a click or going back, the focus moves from the old tab to the current one.
    if (list.current?.contains(document.activeElement)) chosen?.focus();
    const centre = (): void => {
      if (chosen && list.current)
        list.current.scrollLeft = chosen.offsetLeft - list.current.offsetLeft - (list.current.clientWidth - chosen.offsetWidth) / 2;
    };
    centre();
    void document.fonts.ready.then(centre);
    addEventListener("resize", centre);
    return () => removeEventListener("resize", centre);
  }, [current]);
  return (
    <div
      ref={list}
      class="tabs"
      role="tablist"
      aria-label={label}
      onKeyDown={(event) => {
        const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        if (!step) return;
        const at = tabs.findIndex((tab) => tab.key === current);
        const next = tabs[(at + step + tabs.length) % tabs.length];
        if (!next) return;
        event.preventDefault();
        onArrow(next);
      }}
    >
      {tabs.map((tab) => (
        <a
          key={tab.key}
          href={tab.href}
          role="tab"
          aria-selected={tab.key === current}
          tabIndex={tab.key === current ? 0 : -1}
          aria-controls="panel"
        >
          {tab.label}
          {tab.count !== undefined && <span class="count">{tab.count}</span>}
        </a>
      ))}
    </div>
  );
}
