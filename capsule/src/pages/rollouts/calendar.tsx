/** The coming dates of all patch policies, and the windows and freezes that bind them. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { beginWords, countsWords, stateWords, whenWords, ZONE_OF_NODE, zoneWords } from "../../core/rollouts/rollout-text";
import { shortDuration, t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { freezes, windowsTurn } from "../../state/freezes";
import {
  approveOccurrence,
  deleteWindow,
  loadOccurrences,
  loadPolicies,
  loadWindows,
  rolloutsOf,
  skipOccurrence,
} from "../../state/rollouts";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type OccurrenceView, type PatchPolicyView, type RolloutView, type WindowView } from "../../state/types";
import { Button, Empty, Failure, Glyph, type GlyphKind, Loading } from "../../ui";
import { drop, put, useAll } from "../alerts/use-all";
import { ListView } from "../list-view";
import { useAnswer } from "../use-answer";
import { patchSelectWords } from "./policies";
import { RolloutGlyph } from "./rollout-parts";
import { NowDialog, WindowDialog } from "./window-dialog";

const STATES: Record<OccurrenceView["state"], [GlyphKind, string]> = {
  planned: ["wait", t`planned`],
  waiting_approval: ["warn", t`waits for approval`],
  started: ["wait", t`started`],
  missed: ["fail", t`missed`],
  skipped: ["ended", t`skipped`],
};

/** So many coming dates of each policy are shown. */
const COMING = 5;

interface Dated {
  policy: PatchPolicyView;
  occurrence: OccurrenceView;
  /** What became of it; undefined: it made no roll-out, or that is too long ago. */
  rollout?: RolloutView;
}

async function readDates(): Promise<Dated[]> {
  const policies = await loadPolicies();
  const lists = await Promise.all(
    policies.map(async (policy) => {
      const [all, made] = await Promise.all([loadOccurrences(policy.id), rolloutsOf(policy.id)]);
      const coming = all.filter(({ state }) => state === "planned").slice(0, COMING);
      return [...all.filter(({ state }) => state !== "planned"), ...coming].map((occurrence) => ({
        policy,
        occurrence,
        rollout: made.find(({ id }) => id === occurrence.rollout_id),
      }));
    }),
  );
  return lists.flat().sort((one, other) => one.occurrence.due_at - other.occurrence.due_at);
}

export function CalendarTab(): VNode {
  return (
    <div class="stack">
      <Dates />
      <Windows />
    </div>
  );
}

function Dates(): VNode {
  const { found, failure, load } = useAnswer(readDates);
  const run = async (act: Promise<unknown>): Promise<void> => {
    try {
      await act;
      load();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", t`Not done`, error.detail);
    }
  };
  if (failure && !found) return <Failure title={t`The dates could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading what={t`the dates`} onRetry={load} />;
  if (!found.length) return <Empty icon="calendar-clock" title={t`No dates`} text={t`The dates of patch policies stand here.`} />;
  return (
    <ul class="card rows-card" aria-label={t`Dates of patch policies`}>
      {found.map(({ policy, occurrence, rollout }) => {
        const [glyph, words] = STATES[occurrence.state];
        const open = occurrence.state === "planned" || occurrence.state === "waiting_approval";
        return (
          <li key={`${policy.id} ${occurrence.due_at}`}>
            {rollout ? <RolloutGlyph one={rollout} /> : <Glyph kind={glyph} label="" />}
            <div class="grow">
              <p>
                <b>{beginWords(occurrence.due_at, occurrence.local, occurrence.zone, dayStart.value)}</b>{" "}
                <a href={`/patch-policies/${policy.id}`}>{policy.name}</a> <span class="t3">{rollout ? stateWords(rollout) : words}</span>
              </p>
              <p class="meta t3">
                {occurrence.zone === ZONE_OF_NODE
                  ? t`${zoneWords(occurrence.zone)}, for ${shortDuration(policy.length_s)}`
                  : t`${occurrence.local}, ${zoneWords(occurrence.zone)}, for ${shortDuration(occurrence.until_at - occurrence.due_at)}`}
                {occurrence.why && ` · ${occurrence.why}`}
                {rollout && ` · ${rollout.words || countsWords(rollout.targets)}`}
                {occurrence.approvals_needed > 0 && ` · ${t`approved by ${occurrence.approvals.length} of ${occurrence.approvals_needed}`}`}
              </p>
            </div>
            {occurrence.rollout_id && (
              <a class="button slim" href={`/rollout/${occurrence.rollout_id}`}>
                {t`Show`}
              </a>
            )}
            {mayAct.value && policy.whole && occurrence.state === "waiting_approval" && (
              <Button slim acts onClick={() => void run(approveOccurrence(policy.id, occurrence.due_at))}>{t`Approve`}</Button>
            )}
            {mayAct.value && policy.whole && open && (
              <Button slim kind="quiet" acts onClick={() => void run(skipOccurrence(policy.id, occurrence.due_at))}>{t`Skip`}</Button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function windowWords({ kind, open, began_at }: WindowView): string {
  if (kind === "freeze") return open ? t`freeze, in force now` : began_at === null ? t`freeze` : t`freeze, over`;
  if (kind === "open") return open ? t`opened by hand` : t`opened by hand, over`;
  return open ? t`window, open now` : t`window`;
}

function Windows(): VNode {
  const list = useAll(loadWindows);
  const frozen = freezes.value.map(({ id }) => id).join();
  useEffect(list.load, [frozen, windowsTurn.value]); // a freeze can also be ended in the banner above, and others add some
  const [adding, setAdding] = useState<"allow" | "freeze" | "now" | "open" | null>(null);
  const remove = async (one: WindowView): Promise<void> => {
    try {
      await deleteWindow(one.id);
      drop(list, one.id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "auth.step_up_required") toast("fail", t`Not deleted`, error.detail);
    }
  };
  const buttons = mayAct.value && (
    <div class="row wrap end">
      <Button kind="danger" icon="lock" onClick={() => setAdding("now")}>{t`Freeze all now…`}</Button>
      <Button onClick={() => setAdding("freeze")}>{t`Plan a freeze…`}</Button>
      {list.items?.some(({ kind }) => kind === "allow") && <Button onClick={() => setAdding("open")}>{t`Open now…`}</Button>}
      <Button kind="primary" onClick={() => setAdding("allow")}>{t`Add window`}</Button>
    </div>
  );
  return (
    <section class="stack" aria-label={t`Windows and freezes`}>
      <div class="section-head">
        <h2>{t`Windows and freezes`}</h2>
        <p class="t3 meta grow">{t`In a window patching is allowed. In a freeze nothing is upgraded or rebooted: it beats every window. A server without a window is always allowed.`}</p>
        {list.items && list.items.length > 0 && buttons}
      </div>
      <ListView
        list={list}
        what={t`the windows`}
        refused={t`Your role cannot see windows.`}
        empty={
          <Empty icon="calendar-clock" title={t`No windows and no freezes`} text={t`Patch policies run at their own times.`}>
            {buttons || undefined}
          </Empty>
        }
      >
        {(items) => (
          <ul class="card rows-card" aria-label={t`Windows and freezes`}>
            {items.map((one) => (
              <li key={one.id}>
                <Glyph kind={one.kind === "freeze" ? (one.open ? "pause" : "ended") : one.open ? "ok" : "wait"} label="" />
                <div class="grow">
                  <p>
                    <b class="anywhere">{one.name}</b> <span class="t3">{windowWords(one)}</span>
                  </p>
                  <p class="meta t3 anywhere">
                    {one.began_at === null
                      ? t`${patchSelectWords(one.select)}: ${whenWords(one)} at ${one.start} for ${shortDuration(one.length_s)}, ${zoneWords(one.zone)}`
                      : one.until_at === null
                        ? t`${patchSelectWords(one.select)}: until somebody ends it. ${one.reason}`
                        : t`${patchSelectWords(one.select)}: until ${timeOrDate(one.until_at, dayStart.value)}. ${one.reason}`}
                  </p>
                </div>
                {mayAct.value && (
                  <Button slim acts kind={one.began_at !== null && one.open ? undefined : "quiet"} onClick={() => void remove(one)}>
                    {one.began_at !== null && one.open ? t`End now` : t`Delete`}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </ListView>
      {(adding === "now" || adding === "open") && (
        <NowDialog kind={adding === "now" ? "freeze" : "open"} onClose={() => setAdding(null)} onSaved={(saved) => put(list, saved)} />
      )}
      {(adding === "allow" || adding === "freeze") && (
        <WindowDialog kind={adding} onClose={() => setAdding(null)} onSaved={(saved) => put(list, saved)} />
      )}
    </section>
  );
}
