import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { selectWords } from "../../core/alerts/rule-text";
import { nextWords, PAUSES, stateWords, WHATS, whenWords, zoneWords } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text";
import { dayStart } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import {
  applyPolicies,
  createRollout,
  deletePolicy,
  editPolicy,
  liveRolloutsOf,
  loadPolicies,
  takeOverRollout,
} from "../../state/rollouts";
import { go } from "../../state/router";
import { isAdmin, mayAct, user } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type PatchPolicyView, type RolloutView } from "../../state/types";
import { Button, Empty, Glyph, Icon, MenuButton } from "../../ui";
import { downloadText } from "../../ui/download";
import { drop, put, useAll } from "../alerts/use-all";
import { FormDialog } from "../form-dialog";
import { ImportDialog } from "../import-dialog";
import { ListView } from "../list-view";
import { BEYOND } from "./policy-parts";

type Asked = { kind: "delete" | "run"; one: PatchPolicyView } | null;

export function PoliciesTab(): VNode {
  const list = useAll(loadPolicies);
  const [asked, setAsked] = useState<Asked>(null);
  const [importing, setImporting] = useState(false);
  const [live, setLive] = useState<RolloutView | null>(null);
  const add = mayAct.value && (
    <a class="button primary end" href="/patch-policies/new">
      {t`Add patch policy`}
    </a>
  );
  return (
    <div class="stack">
      <div class="section-head">
        <p class="t3 meta grow">{t`A patch policy says which servers get which updates when, in which order, and what makes it stop.`}</p>
        {list.items && list.items.length > 0 && (
          <Button icon="download" onClick={() => exportPolicies(list.items ?? [])}>
            {t`Export`}
          </Button>
        )}
        {mayAct.value && <Button onClick={() => setImporting(true)}>{t`Import…`}</Button>}
        {list.items && list.items.length > 0 && add}
      </div>
      <ListView
        list={list}
        what={t`the patch policies`}
        refused={t`Your role cannot see patch policies.`}
        empty={
          <Empty icon="calendar-clock" title={t`No patch policy`} text={t`Without one, each server waits for a person to upgrade it.`}>
            {add || undefined}
          </Empty>
        }
      >
        {(items) => (
          <ul class="card rows-card" aria-label={t`Patch policies`}>
            {items.map((one) => (
              <Row
                key={one.id}
                one={one}
                onAsk={(kind) => setAsked({ kind, one })}
                onChange={(view) => put(list, view)}
                onTaken={setLive}
              />
            ))}
          </ul>
        )}
      </ListView>
      {importing && (
        <ImportDialog
          title={t`Import patch policies`}
          kind="policies"
          hint={t`A file that was exported here, or by “stardust policy export”. Policies with the same id or name are changed, and policies that are not in the file stay.`}
          send={async (items, dryRun) => {
            const { policies, left } = await applyPolicies([...items], dryRun);
            return { rows: policies.map(({ name, act, fields }) => ({ name, act, changes: fields })), left: left.length };
          }}
          onDone={list.load}
          onClose={() => setImporting(false)}
        />
      )}
      {asked?.kind === "delete" && <DeleteDialog one={asked.one} onClose={() => setAsked(null)} onDone={() => drop(list, asked.one.id)} />}
      {live && <LiveDialog live={live} onClose={() => setLive(null)} />}
      {asked?.kind === "run" && <RunDialog one={asked.one} onClose={() => setAsked(null)} />}
    </div>
  );
}

/** Those that an import would take again: of the others only a part of the selection is known. */
function exportPolicies(all: readonly PatchPolicyView[]): void {
  const policies = all.filter(({ whole }) => whole);
  const beyond = all.filter(({ whole }) => !whole).map(({ name }) => name);
  if (policies.length) downloadText(`${JSON.stringify({ policies }, null, 2)}\n`, "stardust-patch-policies.json", "application/json");
  if (beyond.length) toast("wait", t`Left out, since they select servers beyond your rights`, beyond.join(", "));
}

/** Which servers, in words. */
export function patchSelectWords({ all = false, tags = [], nodes = [], not = {} }: PatchPolicyView["select"]): string {
  const some = selectWords({ all, tags, nodes }, nodeLabel);
  const without = [...(not.tags ?? []).map((tag) => t`tag ${tag}`), ...(not.nodes ?? []).map(nodeLabel)];
  return without.length ? t`${some} without ${without.join(", ")}` : some;
}

interface RowProps {
  one: PatchPolicyView;
  onAsk: (kind: "delete" | "run") => void;
  onChange: (view: PatchPolicyView) => void;
  /** The policy was taken over, and this roll-out of it still has its former owner. */
  onTaken: (live: RolloutView) => void;
}

function Row({ one, onAsk, onChange, onTaken }: RowProps): VNode {
  const takeOver = async (): Promise<void> => {
    try {
      const taken = await editPolicy(one.id, { version: one.version, take_over: true });
      onChange(taken);
      toast("done", t`${one.name} runs with your rights now`);
      const [live] = (await liveRolloutsOf(one.id)).filter(({ owner }) => owner !== taken.owner);
      if (live) onTaken(live);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "auth.step_up_required") toast("fail", t`Not taken over`, error.detail);
    }
  };
  return (
    <li>
      <Glyph kind={one.paused ? "warn" : one.enabled ? "wait" : "ended"} label="" />
      <div class="grow">
        <p>
          <a class="medium" href={`/patch-policies/${one.id}`}>
            {one.name}
          </a>{" "}
          <span class="t3">
            {one.paused
              ? t`paused`
              : !one.enabled
                ? t`off`
                : one.next_at === null
                  ? t`no further date`
                  : t`next ${nextWords(one.next_at, one.start, one.zone, dayStart.value)}`}
          </span>
        </p>
        <p class="meta t3 anywhere">
          {t`${WHATS[one.what]} on ${patchSelectWords(one.select)}, ${whenWords(one.when)} at ${one.start}, ${zoneWords(one.zone)}`}
        </p>
        {!one.whole && <p class="meta">{BEYOND}</p>}
        {one.paused && <p class="meta">{t`Paused: ${PAUSES[one.paused]}.`}</p>}
      </div>
      {mayAct.value && one.whole && (
        <MenuButton
          label={t`Actions for ${one.name}`}
          class="quiet slim only-icon"
          groups={[
            [
              { label: t`Edit…`, icon: "settings", run: () => go(`/patch-policies/${one.id}`) },
              { label: t`Run now…`, icon: "send", run: () => onAsk("run") },
              ...(isAdmin.value && one.owner !== user.value?.username
                ? [{ label: t`Take over from ${one.owner}`, icon: "users" as const, acts: true, run: () => void takeOver() }]
                : []),
            ],
            [{ label: t`Delete…`, icon: "trash-2", danger: true, run: () => onAsk("delete") }],
          ]}
        >
          <Icon name="ellipsis" size="small" />
        </MenuButton>
      )}
    </li>
  );
}

function DeleteDialog({ one, onClose, onDone }: { one: PatchPolicyView; onClose: () => void; onDone: () => void }): VNode {
  const remove = async (): Promise<void> => {
    await deletePolicy(one.id);
    onDone();
    onClose();
  };
  return (
    <FormDialog
      title={t`Delete ${one.name}?`}
      icon="trash-2"
      kind="destroy"
      submit={t`Delete`}
      refused={t`Not deleted`}
      onSave={remove}
      onClose={onClose}
    >
      <p>{t`Its planned dates go with it. A roll-out that runs goes on: stop it by itself.`}</p>
    </FormDialog>
  );
}

const LiveDialog = ({ live, onClose }: { live: RolloutView; onClose: () => void }): VNode => (
  <FormDialog
    title={t`Take its roll-out over, too?`}
    icon="users"
    submit={t`Take it over`}
    refused={t`Not taken over`}
    onSave={async () => go(`/rollout/${(await takeOverRollout(live.id)).id}`)}
    onClose={onClose}
  >
    <p>{t`${live.name} is ${stateWords(live)} with the rights of ${live.owner}. Taken over, it goes on with yours once you resume it.`}</p>
  </FormDialog>
);

function RunDialog({ one, onClose }: { one: PatchPolicyView; onClose: () => void }): VNode {
  const [key] = useState(() => crypto.randomUUID());
  return (
    <FormDialog
      title={t`Run ${one.name} now?`}
      icon="send"
      submit={t`Run now`}
      refused={t`Not started`}
      onSave={async () => go(`/rollout/${(await createRollout({ policy_id: one.id }, key)).id}`)}
      onClose={onClose}
    >
      <p>{t`${WHATS[one.what]} on ${patchSelectWords(one.select)}, within its limits. Windows and freezes hold.`}</p>
    </FormDialog>
  );
}
