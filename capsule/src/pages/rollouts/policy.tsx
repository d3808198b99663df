/** The editor of a patch policy, beside a preview of what it would do. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { hasFieldError, lengthError, onlyError, patternsError, rangeError, rangeOf } from "../../core/rollouts/policy-fields";
import { WHATS } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text";
import { addPolicy, editPolicy, loadPolicy, previewPolicy } from "../../state/rollouts";
import { go } from "../../state/router";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type PatchPolicyView, type PatchPreviewView } from "../../state/types";
import { Button, Failure, Form, Loading, TextField } from "../../ui";
import { Check, SelectField, Switch, TagsField } from "../../ui/form";
import { ownZone, TimeField } from "../alerts/schedule-fields";
import { MeetingNotice } from "../meeting";
import { NodesField } from "../nodes-field";
import { ActionError, useAction } from "../use-action";
import { useAnswer } from "../use-answer";
import { useMeeting } from "../use-meeting";
import { PatchingTabs } from "./patching-tabs";
import { Around } from "./policy-around";
import { Order } from "./policy-order";
import { BEYOND, Card, type Draft, options, type Part } from "./policy-parts";
import { PolicyPreview } from "./policy-preview";
import { PatchZoneField, WhenField } from "./when-field";

const NEW = "new";
const PREVIEW_AFTER_MS = 400;
const HOUR_S = 3600;

const firstDraft = (): Draft => ({
  name: "",
  select: { all: true },
  when: { monthly: { nth: "second", day: "tue" } },
  start: "02:30",
  length_s: 2 * HOUR_S,
  zone: ownZone(),
  what: "security",
});

function draftOf(policy: PatchPolicyView): Draft {
  const { id: _id, owner: _owner, paused: _paused, next_at: _next, whole: _whole, version: _version, ...body } = policy;
  return body;
}

export function PolicyPage({ id }: { id: string }): VNode {
  const { found, failure, load } = useAnswer(() => (id === NEW ? Promise.resolve(null) : loadPolicy(id)), [id]);
  return (
    <div class="page">
      <PatchingTabs tab="policies" />
      <div id="panel" role="tabpanel" aria-label={t`Patch policy`}>
        {failure ? (
          <Failure title={t`The patch policy could not be read`} error={failure} onRetry={load} />
        ) : id !== NEW && !found ? (
          <Loading what={t`the patch policy`} onRetry={load} />
        ) : (
          <Editor key={`${id} ${found?.version ?? 0}`} policy={found} />
        )}
      </div>
    </div>
  );
}

function Editor({ policy: read }: { policy: PatchPolicyView | null }): VNode {
  const edited = useMeeting<PatchPolicyView, Draft>({
    read,
    empty: firstDraft,
    draftOf,
    reload: ({ id }) => loadPolicy(id),
    parts: ["order", "min_age_days"],
  });
  const { view: policy, draft, change, met } = edited;
  const act = useAction(t`Not saved`);
  const { all = false, tags = [], nodes = [] } = draft.select;
  const complete = draft.name.trim() !== "" && (all || tags.length + nodes.length > 0);
  const wrong = hasFieldError(draft);
  const ready = complete && !wrong;
  const mayChange = mayAct.value && policy?.whole !== false;
  const save = async (): Promise<void> => {
    const body = { ...draft, name: draft.name.trim() };
    await act.run(async () => {
      if (!(await edited.save((stored) => (stored ? editPolicy(stored.id, { ...body, version: stored.version }) : addPolicy(body)))))
        return;
      toast("done", t`${body.name} is saved`);
      go("/rollouts/policies");
    });
  };
  return (
    <div class="policy-editor">
      <Form class="stack" autocomplete="off" onSubmit={() => void (ready && save())}>
        <div class="page-head wrap">
          <h1 tabIndex={-1} class="grow">
            {policy ? policy.name : t`New patch policy`}
          </h1>
          <a class="button" href="/rollouts/policies">
            {t`Cancel`}
          </a>
          {mayChange && (
            <Button kind="primary" type="submit" busy={act.busy} disabled={!ready}>
              {t`Save`}
            </Button>
          )}
        </div>
        <ActionError text={act.refusal} />
        {met && (
          <MeetingNotice met={met} onTake={edited.takeTheirs}>
            <Button kind="primary" slim type="submit" busy={act.busy} disabled={!ready}>{t`Save over it`}</Button>
          </MeetingNotice>
        )}
        {policy?.whole === false && <p class="meta t3">{BEYOND}</p>}
        <fieldset class="stack" disabled={!mayChange}>
          <What draft={draft} change={change} />
          <Times draft={draft} change={change} />
          <Order draft={draft} change={change} />
          <Around draft={draft} change={change} />
        </fieldset>
      </Form>
      {policy?.whole !== false && <Preview draft={draft} id={policy?.id ?? null} ready={ready} wrong={wrong} />}
    </div>
  );
}

/** Whether a person chooses among the packages. Otherwise the hub refuses what would choose. */
const choosesAmong = (what: Draft["what"]): boolean => what === "security" || what === "all";

function What({ draft, change }: Part): VNode {
  const { all = false, tags = [], nodes = [], not = {} } = draft.select;
  const age = draft.min_age_days ?? {};
  return (
    <Card title={t`What, and where`}>
      <TextField
        label={t`Name`}
        value={draft.name}
        onText={(name) => change({ name })}
        input={{ maxLength: 80, required: true, placeholder: t`such as Security, every second Tuesday` }}
      />
      <NodesField
        label={t`Servers`}
        value={all ? null : { tags, nodes }}
        onChange={(chosen) => change({ select: { ...(chosen ?? { all: true }), not } })}
        every={t`Every server`}
      />
      <TagsField
        label={t`But not those with any of these tags`}
        tags={not.tags ?? []}
        onTags={(without) => change({ select: { ...draft.select, not: { ...not, tags: without } } })}
      />
      <SelectField
        label={t`Install`}
        value={draft.what}
        onPick={(picked) => {
          const what = picked as Draft["what"];
          change(choosesAmong(what) ? { what } : { what, leave_out: [], only: [], kernel: true, min_age_days: {} });
        }}
        options={options(WHATS)}
      />
      {choosesAmong(draft.what) && (
        <>
          <TagsField
            label={t`Leave out packages (patterns such as postgresql-*)`}
            hint={t`add a name or pattern`}
            tags={draft.leave_out ?? []}
            onTags={(leave_out) => change({ leave_out })}
            check={patternsError}
          />
          <TagsField
            label={t`Only these packages (empty: every package)`}
            hint={t`add a name or pattern`}
            tags={draft.only ?? []}
            onTags={(only) => change({ only })}
            check={(only) => onlyError(only, draft.leave_out ?? [])}
          />
          <Check checked={draft.kernel ?? true} onCheck={(kernel) => change({ kernel })}>
            {t`Kernels too`}
          </Check>
          <div class="number-fields">
            <TextField
              label={t`Other updates wait for days`}
              hint={t`An update that the fleet first saw later than this waits. So a poisoned one is found elsewhere.`}
              type="number"
              value={String(age.other ?? 0)}
              onText={(days) => change({ min_age_days: { ...age, other: Number(days) } })}
              wrong={rangeError("age_days", age.other ?? 0)}
              input={rangeOf("age_days")}
            />
            <TextField
              label={t`Security updates wait for days`}
              type="number"
              value={String(age.security ?? 0)}
              onText={(days) => change({ min_age_days: { ...age, security: Number(days) } })}
              wrong={rangeError("age_days", age.security ?? 0)}
              input={rangeOf("age_days")}
            />
          </div>
        </>
      )}
    </Card>
  );
}

const Times = ({ draft, change }: Part): VNode => (
  <Card title={t`When`}>
    <Switch label={t`On`} checked={draft.enabled ?? true} onCheck={(enabled) => change({ enabled })} />
    <WhenField value={draft.when} onChange={(when) => change({ when })} />
    <div class="number-fields">
      <TimeField label={t`Start`} value={draft.start} onText={(start) => change({ start })} />
      <TextField
        label={t`For how many hours`}
        type="number"
        value={String(draft.length_s / HOUR_S)}
        onText={(hours) => change({ length_s: Math.round(Number(hours) * HOUR_S) })}
        wrong={lengthError(draft.length_s)}
        late
        input={{ min: 0.25, max: 24, step: 0.25, required: true }}
      />
    </div>
    <PatchZoneField value={draft.zone} onChange={(zone) => change({ zone })} />
    <SelectField
      label={t`If Ground Control was off at that time`}
      value={draft.hub_missed ?? "skip"}
      onPick={(missed) => change({ hub_missed: missed as "skip" })}
      options={[
        ["skip", t`wait for the next date`],
        ["once", t`start late, while the time lasts`],
      ]}
    />
    <SelectField
      label={t`If a server was away`}
      value={draft.node_missed ?? "skip"}
      onPick={(missed) => change({ node_missed: missed as "skip" })}
      options={[
        ["skip", t`it waits for the next date`],
        ["when_back", t`patch it when it is back`],
      ]}
    />
  </Card>
);

function Preview({ draft, id, ready, wrong }: { draft: Draft; id: string | null; ready: boolean; wrong: boolean }): VNode {
  const [preview, setPreview] = useState<PatchPreviewView | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  const question = JSON.stringify({ ...draft, name: "" });
  useEffect(() => {
    if (!ready) return undefined;
    let over = false;
    const timer = setTimeout(() => {
      previewPolicy({ ...draft, name: draft.name.trim() || t`New patch policy` }, id).then(
        (found) => {
          if (over) return;
          setPreview(found);
          setFailure(null);
        },
        (error: unknown) => {
          if (!(error instanceof ApiError)) throw error;
          if (!over) setFailure(error);
        },
      );
    }, PREVIEW_AFTER_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [question, id, ready, turn]);
  return (
    <aside class="card padded stack policy-preview" aria-label={t`Preview`} aria-live="polite">
      <h2>{t`What it would do`}</h2>
      {wrong && <p class="t3">{t`It is judged again once the fields are right.`}</p>}
      {failure && !wrong && <p class="wrong">{failure.detail}</p>}
      {failure && failure.status >= 500 && <Button slim onClick={() => setTurn(turn + 1)}>{t`Try again`}</Button>}
      {!ready && !wrong && !preview && <p class="t3">{t`Give it a name and choose servers.`}</p>}
      {ready && !preview && !failure && <Loading rows={3} what={t`the preview`} />}
      {preview && <PolicyPreview preview={preview} zone={draft.zone} stale={wrong || failure !== null} />}
    </aside>
  );
}
