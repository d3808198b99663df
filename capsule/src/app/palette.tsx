import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { hide, show } from "../state/dialogs";
import { rows } from "../state/fleet";
import { go } from "../state/router";
import { mayAct } from "../state/session";
import { setTheme } from "../state/theme";
import { Glyph, type GlyphKind } from "../ui/glyph";
import { Icon, type IconName } from "../ui/icon";

interface Entry {
  key: string;
  group: "Actions" | "Nodes";
  label: string;
  hint: string;
  icon?: IconName;
  glyph?: GlyphKind;
  run: () => void;
}

const MOST_NODES = 8;

function entries(text: string): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (label: string): boolean => words.every((word) => label.toLowerCase().includes(word));
  const actions: Entry[] = [
    ...(mayAct.value ? [{ key: "add", group: "Actions" as const, label: "Add node", hint: "n", icon: "plus" as const, run: () => show({ kind: "add" }) }] : []),
    { key: "fleet", group: "Actions", label: "Go to fleet", hint: "g f", icon: "server", run: () => go("/") },
    { key: "jobs", group: "Actions", label: "Go to jobs", hint: "g j", icon: "list-checks", run: () => go("/jobs") },
    { key: "events", group: "Actions", label: "Go to events", hint: "g e", icon: "scroll-text", run: () => go("/events") },
    { key: "settings", group: "Actions", label: "Go to settings", hint: "g s", icon: "settings", run: () => go("/settings") },
    { key: "dark", group: "Actions", label: "Dark theme", hint: "", icon: "moon", run: () => setTheme("dark") },
    { key: "light", group: "Actions", label: "Light theme", hint: "", icon: "sun", run: () => setTheme("light") },
    { key: "auto", group: "Actions", label: "Theme of the system", hint: "", icon: "sun-moon", run: () => setTheme("auto") },
    { key: "keys", group: "Actions", label: "Show keys", hint: "?", icon: "keyboard", run: () => show({ kind: "keys" }) },
  ];
  const nodes: Entry[] = rows.value
    .filter(({ node }) => fits(`${node.name} ${node.address} ${node.tags.join(" ")}`))
    .slice(0, MOST_NODES)
    .map(({ node, standing }) => ({ key: node.id, group: "Nodes", label: node.name, hint: node.address, glyph: standing, run: () => go(`/n/${node.id}`) }));
  return [...actions.filter(({ label }) => fits(label)), ...nodes];
}

export function Palette(): VNode {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const found = entries(text);
  const chosen = Math.min(at, found.length - 1);
  const run = (entry: Entry | undefined): void => {
    if (!entry) return;
    hide();
    entry.run();
  };
  return (
    <dialog
      ref={dialog}
      class="dialog palette"
      aria-label="Command palette"
      onCancel={(event) => {
        event.preventDefault();
        hide();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) hide();
      }}
    >
      <div class="field-row">
        <Icon name="search" />
        <input
          {...({ autofocus: true } as object)}
          role="combobox"
          aria-label="Search or run a command"
          aria-expanded="true"
          aria-controls="palette-found"
          aria-activedescendant={found[chosen] ? `palette-${found[chosen].key}` : undefined}
          placeholder="Search or run a command"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") setAt((chosen + 1) % Math.max(1, found.length));
            else if (event.key === "ArrowUp") setAt((chosen - 1 + found.length) % Math.max(1, found.length));
            else if (event.key === "Enter") run(found[chosen]);
            else return;
            event.preventDefault();
          }}
        />
      </div>
      <div class="found" id="palette-found" role="listbox" aria-label="Found">
        {(["Actions", "Nodes"] as const).map((group) => {
          const part = found.filter((entry) => entry.group === group);
          if (!part.length) return null;
          return (
            <div key={group} role="group" aria-label={group}>
              <h3>{group}</h3>
              {part.map((entry) => (
                <div key={entry.key} id={`palette-${entry.key}`} role="option" aria-selected={entry === found[chosen]} onClick={() => run(entry)} onMouseMove={() => setAt(found.indexOf(entry))}>
                  {entry.icon ? <Icon name={entry.icon} /> : <Glyph kind={entry.glyph ?? "ok"} />}
                  <span class="cut">{entry.label}</span>
                  {entry.hint && (entry.group === "Actions" ? <kbd class="end">{entry.hint}</kbd> : <span class="t3 end">{entry.hint}</span>)}
                </div>
              ))}
            </div>
          );
        })}
        {!found.length && <p class="empty t3">Nothing found</p>}
      </div>
    </dialog>
  );
}
