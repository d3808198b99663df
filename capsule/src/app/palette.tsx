import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ineligibleReason } from "../core/jobs/eligibility";
import { JOB_VERBS } from "../core/jobs/package-actions";
import { bestMatches } from "../core/text/fuzzy-match";
import { tagFilter } from "../core/nodes/filter";
import { plural, t } from "../core/text";
import { actionLabel, jobGlyph, jobLabel, stateLabel } from "../core/jobs/job-labels";
import { closeDialog, openDialog, showDialog } from "../state/dialogs";
import { rows, tags } from "../state/fleet";
import { jobs } from "../state/jobs";
import { nodeLabel } from "../state/node-label";
import { preferences } from "../state/preferences";
import { go, pageUrl, setQuery } from "../state/router";
import { picked } from "../state/selection";
import { isAdmin, logOut, mayAct, mayTag, user } from "../state/session";
import { setTheme } from "../state/theme";
import type { JobBody, NodeView } from "../state/types";
import { rememberFocus } from "../ui/dialog";
import { Glyph, type GlyphKind, Icon, type IconName } from "../ui";
import { startAction, verbIcon } from "../pages/node/upgrade";
import { SECTIONS } from "./sections";

const GROUPS = { Actions: t`Actions`, Nodes: t`Nodes`, Jobs: t`Jobs`, Views: t`Views` };

interface Entry {
  key: string;
  group: keyof typeof GROUPS;
  label: string;
  hint: string;
  /** Synonyms. */
  also?: string;
  /** The reason why the entry cannot run now. */
  why?: string;
  /** Whether the hint is a shortcut. */
  keyed?: boolean;
  icon?: IconName;
  glyph?: GlyphKind;
  run: () => void;
}

const MOST_NODES = 8;
const MOST_OTHERS = 5;
const RANGES: readonly (readonly [string | null, string])[] = [
  [null, t`Live`],
  ["1h", t`Last hour`],
  ["24h", t`Last 24 hours`],
  ["7d", t`Last 7 days`],
  ["30d", t`Last 30 days`],
];

function actions(): Entry[] {
  const act = (key: string, label: string, icon: IconName, run: () => void, hint = ""): Entry => ({
    key,
    group: "Actions",
    label,
    hint,
    keyed: hint !== "",
    icon,
    run,
  });
  const { path } = pageUrl.value;
  const nodes = [...picked.value];
  return [
    ...(mayAct.value && nodes.length
      ? [
          act(
            "picked",
            t`Upgrade the ${nodes.length} selected…`,
            "package",
            () => showDialog({ kind: "bulk-job", nodes, action: "upgrade" }),
            "u",
          ),
        ]
      : []),
    ...(mayAct.value && nodes.length
      ? [
          act("redeploy", t`Deploy the ${nodes.length} selected again…`, "rotate-cw", () => showDialog({ kind: "redeploy-many", nodes })),
          act("policies", t`Change the policies of the ${nodes.length} selected…`, "lock", () =>
            showDialog({ kind: "redeploy-many", nodes, widening: true }),
          ),
        ]
      : []),
    ...(mayTag.value && nodes.length
      ? [act("tag", t`Tag the ${nodes.length} selected…`, "tag", () => showDialog({ kind: "tags", nodes }))]
      : []),
    ...(mayAct.value ? [act("add", t`Add node`, "plus", () => showDialog({ kind: "add" }), "n")] : []),
    ...(path.startsWith("/n/")
      ? RANGES.map(([range, words], index) =>
          act(`range-${range}`, t`Charts: ${words}`, "clock", () => setQuery({ range, from: null, to: null }), String(index + 1)),
        )
      : []),
    ...SECTIONS.map(({ key, label, icon, href }) => act(key, t`Go to ${label}`, icon, () => go(href), ["g", key[0]].join(" "))),
    act("deployments", t`Go to Deployments`, "server", () => go("/jobs?of=deployments")),
    ...(isAdmin.value ? [act("audit", t`Go to Audit log`, "scroll-text", () => go("/settings/audit"))] : []),
    act("views", t`Saved views…`, "filter", () => showDialog({ kind: "views" })),
    act("dark", t`Dark theme`, "moon", () => setTheme("dark")),
    act("light", t`Light theme`, "sun", () => setTheme("light")),
    act("auto", t`System theme`, "sun-moon", () => setTheme("auto")),
    act("keys", t`Show keyboard shortcuts`, "keyboard", () => showDialog({ kind: "shortcuts" }), "?"),
    act("out", t`Sign out ${user.value?.username ?? ""}`, "log-out", () => void logOut()),
  ];
}

/** Whether one of the words begins with a word of the search. */
const matchesWordStart = (search: string, words: string): boolean => {
  const candidates = words.toLowerCase().split(/\s+/);
  return search
    .toLowerCase()
    .split(/\s+/)
    .some((typed) => typed !== "" && candidates.some((word) => word.startsWith(typed)));
};

function upgradeEntry(node: NodeView): Entry {
  return {
    key: `upgrade-${node.id}`,
    group: "Actions",
    label: t`Upgrade ${node.name}…`,
    hint: node.updates.total === null ? t`available updates not known` : plural(node.updates.total, "package"),
    why: ineligibleReason(node, "upgrade"),
    icon: "package",
    run: () => showDialog({ kind: "job", node: node.id, action: "upgrade" }),
  };
}

/** One upgrade for each node that has updates and can upgrade now, and one for each tag. */
function upgradeEntries(): Entry[] {
  const one = rows.value
    .filter(({ node }) => node.updates.total)
    .map(({ node }) => upgradeEntry(node))
    .filter(({ why }) => !why);
  const tagged: Entry[] = tags.value.map(([tag, count]) => ({
    key: `tag-${tag}`,
    group: "Actions",
    label: t`Upgrade all with tag ${tag}…`,
    hint: plural(count, "node"),
    icon: "package",
    run: () =>
      showDialog({
        kind: "bulk-job",
        nodes: rows
          .peek()
          .filter(({ node }) => node.tags.includes(tag))
          .map(({ node }) => node.id),
        action: "upgrade",
      }),
  }));
  return [...one, ...tagged];
}

/** For each node, the jobs whose labels match the search. The node of the open page is first. Jobs that are not possible now are last, with the reason. */
function jobEntries(text: string): Entry[] {
  const verbs = JOB_VERBS.filter(([name, { also = "" }]) => matchesWordStart(text, `${actionLabel(name)} ${also}`));
  if (!verbs.length) return [];
  const here = pageUrl.value.path.split("/")[2];
  const nodes = rows.value.map(({ node }) => node).sort((a, b) => Number(b.id === here) - Number(a.id === here));
  const found = nodes.flatMap((node) =>
    verbs.flatMap(([name, { also = "", readonly }]): Entry | Entry[] => {
      if (name === "upgrade")
        return node.updates.total === 0 && !text.toLowerCase().includes(node.name.toLowerCase()) ? [] : upgradeEntry(node);
      const action = name as JobBody["action"];
      const label = `${actionLabel(name)}: ${node.name}`;
      const base = {
        key: `${action}-${node.id}`,
        group: "Actions",
        also,
        hint: "",
        why: ineligibleReason(node, action),
        icon: verbIcon(name),
      } as const;
      return readonly
        ? { ...base, label, run: () => void startAction(node, action) }
        : { ...base, label: `${label}…`, run: () => showDialog({ kind: "job", node: node.id, action }) };
    }),
  );
  return [...found.filter(({ why }) => !why), ...found.filter(({ why }) => why)];
}

function entries(text: string): Entry[] {
  const label = (entry: Entry): string => `${entry.label} ${entry.also ?? ""} ${entry.hint}`;
  const named = (entry: Entry): string => `${entry.label} ${entry.also ?? ""}`;
  const typed = text.trim() !== "";
  const nodes: Entry[] = bestMatches(text, rows.value, ({ node }) => `${node.name} ${node.address} ${node.tags.join(" ")}`, MOST_NODES).map(
    ({ node, health }) => ({
      key: node.id,
      group: "Nodes",
      label: node.name,
      hint: node.address,
      glyph: health,
      run: () => go(`/n/${node.id}`),
    }),
  );
  const ran: Entry[] = jobs.value.map((job) => ({
    key: job.id,
    group: "Jobs",
    label: t`${jobLabel(job)}, ${nodeLabel(job.node_id)}`,
    hint: stateLabel(job.state),
    glyph: jobGlyph(job.state),
    run: () => go(`/jobs/${job.id}`),
  }));
  const views: Entry[] = preferences.value.views.map(({ name, query }) => ({
    key: `view-${name}`,
    group: "Views",
    label: name,
    hint: "",
    icon: "filter",
    run: () => go(`/?${query}`),
  }));
  const tagged: Entry[] = tags.value.map(([tag, count]) => ({
    key: `tagged-${tag}`,
    group: "Views",
    label: t`Show nodes tagged ${tag}`,
    also: `tag:${tag}`,
    hint: plural(count, "node"),
    icon: "tag",
    run: () => go(`/?q=${encodeURIComponent(tagFilter(tag))}`),
  }));
  const orderable = typed && mayAct.value;
  const first = bestMatches(text, [...actions(), ...(orderable ? upgradeEntries() : [])], named, typed ? MOST_NODES : 99);
  const acts = [
    ...first,
    ...(orderable ? bestMatches(text, jobEntries(text), named, MOST_NODES).filter(({ key }) => first.every((one) => one.key !== key)) : []),
  ];
  // A search for the whole name of a node lists nodes before actions.
  const exact = nodes.filter((entry) => entry.label.toLowerCase() === text.trim().toLowerCase());
  const both = exact.length ? [...exact, ...nodes.filter((entry) => !exact.includes(entry)), ...acts] : [...acts, ...nodes];
  return [
    ...both,
    ...(typed ? bestMatches(text, ran, label, MOST_OTHERS) : []),
    ...bestMatches(text, [...views, ...(typed ? tagged : [])], label, MOST_OTHERS),
  ];
}

export function Palette() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    let typed = "";
    // Keys that the user pressed while this dialog was loading.
    for (const key of openDialog.peek()?.early ?? []) {
      if (key === "Backspace") typed = typed.slice(0, -1);
      else if (key.length === 1) typed += key;
      else if (key === "Enter") return run(entries(typed)[0]);
    }
    setText(typed);
    const giveBack = rememberFocus();
    const own = dialog.current;
    own?.showModal();
    return () => {
      own?.close();
      giveBack();
    };
  }, []);
  const found = entries(text);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => {
    dialog.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen, text]);
  const run = (entry: Entry | undefined): void => {
    if (!entry || entry.why) return;
    closeDialog();
    entry.run();
  };
  return (
    <dialog
      ref={dialog}
      class="dialog palette"
      aria-label={t`Command palette`}
      onCancel={(event) => {
        event.preventDefault();
        closeDialog();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) closeDialog();
      }}
    >
      <div class="field-row">
        <Icon name="search" />
        <input
          {...({ autofocus: true } as object)}
          role="combobox"
          aria-label={t`Search or run a command`}
          aria-expanded={found.length > 0}
          aria-controls="palette-found"
          aria-activedescendant={found[chosen] ? `palette-${chosen}` : undefined}
          placeholder={t`Search or run a command`}
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
      <div class="found" id="palette-found" role="listbox" aria-label={t`Results`} hidden={!found.length}>
        {/* The groups are in the order in which the arrow keys select their entries. */}
        {[...new Set(found.map(({ group }) => group))].map((group) => {
          const part = found.filter((entry) => entry.group === group);
          return (
            <div key={group} role="group" aria-label={GROUPS[group]}>
              <h3 role="presentation">{GROUPS[group]}</h3>
              {part.map((entry) => (
                <div
                  key={entry.key}
                  id={`palette-${found.indexOf(entry)}`}
                  role="option"
                  aria-selected={entry === found[chosen]}
                  aria-disabled={entry.why ? true : undefined}
                  onClick={() => run(entry)}
                  onMouseMove={() => setAt(found.indexOf(entry))}
                >
                  {entry.icon ? <Icon name={entry.icon} /> : <Glyph kind={entry.glyph ?? "ok"} />}
                  <span class="cut">{entry.label}</span>
                  {entry.why ? (
                    <span class="end right">{entry.why}</span>
                  ) : (
                    entry.hint && (entry.keyed ? <kbd class="end">{entry.hint}</kbd> : <span class="t3 end">{entry.hint}</span>)
                  )}
                </div>
              ))}
            </div>
          );
        })}
      </div>
      <p class={found.length ? "hidden-text" : "empty t3"} role="status">
        {found.length ? "" : t`Nothing found`}
      </p>
    </dialog>
  );
}
