import assert from "node:assert/strict";
import { test } from "node:test";
import type { VNode } from "preact";
import { Order, ProbeFields } from "./policy-order";
import type { Draft } from "./policy-parts";
import { PatchZoneField, WhenField } from "./when-field";

interface Props {
  label?: string;
  wrong?: string;
  value?: string;
  checked?: boolean;
  options?: [string, string][];
  onText: (text: string) => void;
  onPick: (picked: string) => void;
  onTags: (tags: string[]) => void;
  onCheck: (on: boolean) => void;
  children?: unknown;
}

/** Every element that a part returns, also inside of others. */
function elements(node: unknown): Props[] {
  if (Array.isArray(node)) return node.flatMap(elements);
  if (typeof node !== "object" || node === null || !("props" in node)) return [];
  const { props } = node as VNode<Props>;
  return [props, ...elements(props.children)];
}
function field(node: VNode, label: string): Props {
  const found = elements(node).find((one) => one.label === label);
  assert.ok(found, `${label} is not among ${elements(node).map((one) => one.label)}`);
  return found;
}

const DRAFT: Draft = {
  name: "n",
  select: { all: true },
  when: { weekly: ["tue"] },
  start: "02:30",
  length_s: 7200,
  zone: "UTC",
  what: "all",
};

function ordered(part: Partial<Draft>): { node: VNode; changed: () => Partial<Draft> } {
  let last: Partial<Draft> = {};
  const node = Order({
    draft: { ...DRAFT, ...part },
    change: (next) => {
      last = next;
    },
  });
  return { node, changed: () => last };
}

test("the share of the first wave is offered without groups, and says its range", () => {
  const { node, changed } = ordered({ order: { percent: 101 } });
  const share = field(node, "First wave, %");
  assert.equal(share.wrong, "It is 1 to 100.");
  share.onText("25");
  assert.deepEqual(changed(), { order: { percent: 25 } });
  const grouped = elements(ordered({ order: { groups: ["web"] } }).node).map(({ label }) => label);
  assert.equal(grouped.includes("First wave, %"), false);
});

test("an empty number of canaries means the hub's choice, and none is zero", () => {
  const { node, changed } = ordered({ order: { canary: 2 } });
  field(node, "Canaries").onText("");
  assert.deepEqual(changed(), { order: { canary: null } });
  field(node, "Canaries").onText("0");
  assert.deepEqual(changed(), { order: { canary: 0 } });
  assert.equal(field(ordered({ order: { canary: 11 } }).node, "Canaries").wrong, "It is 0 to 10.");
});

test("roles, groups, reboots and what a gate does are kept as they are chosen", () => {
  const { node, changed } = ordered({});
  field(node, "Tags that are roles (empty: those that begin with “role:”)").onTags(["web", "db"]);
  assert.deepEqual(changed(), { role_tags: ["web", "db"] });
  field(node, "Groups of tags, one after the other (empty: canaries, then waves)").onTags(["test", "live"]);
  assert.deepEqual(changed(), { order: { groups: ["test", "live"] } });
  field(node, "Reboot").onPick("always");
  assert.deepEqual(changed(), { reboot: "always" });
  field(node, "When a server gets worse").onPick("observe");
  assert.deepEqual(changed(), { gates: "observe" });
  field(node, "Watch for minutes").onText("20");
  assert.deepEqual(changed(), { watch_s: 1200 });
});

test("each form of a calendar begins with a date that the hub takes", () => {
  let when: Draft["when"] = DRAFT.when;
  const shown = (): VNode =>
    WhenField({
      value: when,
      onChange: (next) => {
        when = next;
      },
    });
  field(shown(), "When").onPick("monthly");
  assert.deepEqual(when, { monthly: { nth: "second", day: "tue" } });
  field(shown(), "Which one").onPick("last");
  field(shown(), "Weekday").onPick("fri");
  assert.deepEqual(when, { monthly: { nth: "last", day: "fri" } });
  field(shown(), "When").onPick("every_weeks");
  field(shown(), "Every how many weeks").onText("3");
  assert.equal(when.every_weeks?.weeks, 3);
  assert.match(when.every_weeks?.since ?? "", /^\d{4}-\d\d-\d\d$/);
  field(shown(), "When").onPick("once");
  field(shown(), "Date").onText("2026-12-24");
  assert.deepEqual(when, { once: "2026-12-24" });
});

test("a zone is one, or that of each server", () => {
  let zone = "UTC";
  const node = PatchZoneField({
    value: zone,
    onChange: (next) => {
      zone = next;
    },
  });
  elements(node)
    .find((one) => one.checked === false)
    ?.onCheck(true);
  assert.equal(zone, "node");
});

test("a wrong probe says what it should be, and an empty one not yet", () => {
  let last: Partial<Draft> = {};
  const probes = ProbeFields({
    draft: {
      ...DRAFT,
      probes: [
        { kind: "tcp", target: "0" },
        { kind: "http", target: "" },
      ],
    },
    change: (next) => {
      last = next;
    },
  });
  assert.equal(field(probes, "Target of probe 1").wrong, "It is a port, 1 to 65535.");
  assert.equal(field(probes, "Target of probe 2").wrong, "");
  field(probes, "Kind of probe 1").onPick("unit");
  assert.deepEqual(last.probes?.[0], { kind: "unit", target: "0" });
});
