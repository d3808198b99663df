import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { now } from "../../state/clock";
import { show } from "../../state/dialogs";
import { ids, loaded, rows, type Row } from "../../state/fleet";
import { tryNow } from "../../state/link";
import { place, setQuery } from "../../state/router";
import { mayAct } from "../../state/session";
import { Button } from "../../ui/button";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { MenuButton } from "../../ui/menu";
import { Empty, Loading, Segmented } from "../../ui/parts";
import { usePhone } from "../../ui/phone";
import { troubles } from "./attention";
import { NodeCards } from "./cards";
import { ordered, parseFilter, parseSort, type SortKey } from "./order";
import { NodeTable } from "./table";
import { Vitals } from "./vitals";

const REORDER_MS = 5000;

export function FleetPage(): VNode {
  const total = rows.value.length;
  if (!loaded.value) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1}>
          Fleet
        </h1>
        <Loading rows={10} what="the fleet" onRetry={tryNow} />
      </div>
    );
  }
  return (
    <div class="page">
      <h1 class="hidden-text" tabIndex={-1}>
        Fleet
      </h1>
      {total === 0 ? (
        <Empty icon="satellite" title="No nodes yet" text="Give an address and an SSH key. Live data arrives about ten seconds later.">
          {mayAct.value && (
            <Button kind="primary" icon="plus" onClick={() => show({ kind: "add" })}>
              Add node
            </Button>
          )}
        </Empty>
      ) : (
        <>
          <Vitals />
          <Attention />
          <Nodes />
        </>
      )}
    </div>
  );
}

function Attention(): VNode | null {
  const found = troubles(rows.value, now.value);
  if (!found.length) return null;
  return (
    <section class="attention" aria-label="Needs attention">
      {found.map((one) => (
        <a key={one.id} href={`/n/${one.id}`}>
          <Glyph kind={one.kind} />
          <span class="cut">
            <b class="strong">{one.name}</b> <span class="t2">{one.what}</span>
          </span>
          <p class="cut">{one.more}</p>
        </a>
      ))}
    </section>
  );
}

interface Held {
  ids: readonly string[];
  /** What was asked for when it was worked out. */
  asked: string;
  members: readonly string[];
  at: number;
  /** Under the pointer another order would be shown by now. */
  late: boolean;
}

/** The order is worked out anew at most every five seconds, and never under the pointer. */
function useOrder(all: readonly Row[], text: string, key: SortKey, down: boolean): { shown: readonly string[]; pending: boolean; touch: (on: boolean) => void; apply: () => void } {
  const touched = useRef(false);
  const held = useRef<Held>({ ids: [], asked: "", members: [], at: 0, late: false });
  const [, again] = useState(0);
  const asked = `${text}|${key}|${down}`;
  const members = ids.value;
  const { current } = held;
  const fresh = current.asked !== asked || current.members !== members;
  if (fresh || Date.now() - current.at >= REORDER_MS) {
    const wanted = ordered(all, parseFilter(text), key, down).map((row) => row.node.id);
    const moved = wanted.length !== current.ids.length || wanted.some((id, index) => current.ids[index] !== id);
    const frozen = touched.current && !fresh && moved;
    held.current = { ids: frozen ? current.ids : wanted, asked, members, at: Date.now(), late: frozen };
  }
  return {
    shown: held.current.ids,
    pending: held.current.late,
    touch: (on) => {
      touched.current = on;
    },
    apply: () => {
      touched.current = false;
      held.current = { ...held.current, at: 0 };
      again((n) => n + 1);
    },
  };
}

function Nodes(): VNode {
  const phone = usePhone();
  const query = place.value.query;
  const text = query.get("q") ?? "";
  const view = query.get("view") === "cards" || phone ? "cards" : "table";
  const chosen = query.get("sort");
  const { key, down } = chosen === null && view === "cards" ? { key: "state" as const, down: true } : parseSort(chosen);
  const all = rows.value;
  const { shown, pending, touch, apply } = useOrder(all, text, key, down);
  const filter = parseFilter(text);
  const sortBy = (next: SortKey): void => {
    const turned = next === key ? !down : next !== "name";
    setQuery({ sort: next === "name" && !turned ? null : (turned ? "-" : "") + next });
  };
  const has = (token: string): boolean => text.split(/\s+/).includes(token);
  const toggle = (token: string): void => {
    const tokens = text.split(/\s+/).filter(Boolean);
    setQuery({ q: (has(token) ? tokens.filter((one) => one !== token) : [...tokens, token]).join(" ") });
  };
  const setState = (state: string): void => setQuery({ q: [...text.split(/\s+/).filter((one) => one && !one.startsWith("state:")), ...(state ? [`state:${state}`] : [])].join(" ") });
  return (
    <>
      <div class="tools">
        <FilterField text={text} error={filter.error} />
        <MenuButton
          label="State"
          class="chip only-desk"
          groups={[
            [
              { label: "Any state", run: () => setState("") },
              ...["online", "critical", "warning", "stale", "offline", "pending"].map((state) => ({ label: `${state.charAt(0).toUpperCase()}${state.slice(1)}`, run: () => setState(state) })),
            ],
          ]}
        >
          <Icon name="filter" size="small" />
          State
        </MenuButton>
        <button type="button" class="chip only-desk" aria-pressed={has("updates>0")} onClick={() => toggle("updates>0")}>
          <Icon name="package" size="small" />
          Has updates
        </button>
        <span class="grow only-desk" />
        {pending && (
          <Button slim icon="refresh-cw" onClick={apply}>
            New order
          </Button>
        )}
        <div class="only-desk">
          <Segmented
            label="View"
            value={view}
            onPick={(next) => setQuery({ view: next === "table" ? null : next })}
            options={[
              { key: "table", label: "Table", show: <Icon name="rows-3" size="small" /> },
              { key: "cards", label: "Cards", show: <Icon name="layout-grid" size="small" /> },
            ]}
          />
        </div>
        {mayAct.value && (
          <button type="button" class="button primary only-icon only-phone" aria-label="Add node" onClick={() => show({ kind: "add" })}>
            <Icon name="plus" />
          </button>
        )}
      </div>
      {shown.length === 0 ? (
        <Empty icon="filter" title={`No node matches “${text}”`} text={`${all.length} ${all.length === 1 ? "node is" : "nodes are"} hidden by this filter.`}>
          <Button onClick={() => setQuery({ q: null })}>Clear filter</Button>
        </Empty>
      ) : view === "cards" ? (
        <NodeCards ids={shown} />
      ) : (
        <NodeTable ids={shown} sort={key} down={down} onSort={sortBy} onTouch={touch} />
      )}
    </>
  );
}

function FilterField({ text, error }: { text: string; error: string }): VNode {
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(text);
  useEffect(() => {
    if (document.activeElement !== input.current) setTyped(text);
  }, [text]);
  const set = (next: string): void => {
    setTyped(next);
    setQuery({ q: next.trim() ? next : null });
  };
  return (
    <div class={`search grow ${error ? "invalid" : ""}`} role="search">
      <Icon name="search" size="small" />
      <input
        ref={input}
        type="search"
        aria-label="Filter nodes"
        aria-invalid={error ? true : undefined}
        aria-describedby={error ? "filter-says" : undefined}
        placeholder="Filter by name, tag, cpu>80…"
        value={typed}
        data-shortcut="/"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => set(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          event.stopPropagation();
          if (typed) set("");
          else event.currentTarget.blur();
        }}
      />
      <kbd class="only-desk">/</kbd>
      {error && (
        <span class="says" id="filter-says" role="status">
          {error}
        </span>
      )}
    </div>
  );
}
