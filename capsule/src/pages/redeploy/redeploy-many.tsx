import { policyLines } from "../../core/deployments/policy-wishes";
import { useState } from "preact/hooks";
import { deploymentStatusText } from "../../core/deployments/deploy-steps";
import { digestsOf, policyDifferences } from "../../core/deployments/policy-differences";
import { countServers, SERVER_GROUPS, SERVER_GROUP_LABELS } from "../../core/deployments/server-list";
import { listSome } from "../../core/jobs/batch";
import { byReason } from "../../core/jobs/left-out";
import { POLICIES } from "../../core/jobs/job-labels";
import { plural, t } from "../../core/text";
import { redeployNodes } from "../../state/deployment";
import { closeDialog, showDialog } from "../../state/dialogs";
import { go } from "../../state/router";
import { loadServers } from "../../state/servers";
import type { DeploymentView, NodeView, RedeployedView } from "../../state/types";
import { Banner, Button, Form, Glyph } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { Check } from "../../ui/form";
import { SignInFields, useFocusFirstError, UserField } from "../add/connection-fields";
import {
  EMPTY_CONNECTION,
  missingCredentialsReason,
  signInBody,
  signInErrors,
  type ConnectionForm,
  type FormErrors,
} from "../add/connection-form";
import { useNodes } from "../bulk/use-nodes";
import { usePolling } from "../bulk/use-polling";
import { DEPLOYMENTS, toastStarted, useSubmit } from "../jobs/submit/use-submit";
import { ActionError } from "../use-action";
import { PolicyTexts, PolicyWish } from "./policy-parts";

const EVERY_MS = 1500;
/** The most nodes of one request. */
const MOST = 200;
const NAMED = 8;
const MODES: readonly [string, string][] = [["", t`as each server has it`], ...POLICIES];

const namesOf = (rows: readonly { name: string }[]): string =>
  listSome(
    rows.map(({ name }) => name),
    NAMED,
  );

/** The id of the request of which these deployments are. Ids sort by time: a deployment that ran already is of an earlier request. */
const batchOf = ({ deployments }: RedeployedView): string =>
  deployments
    .map(({ batch_id }) => batch_id ?? "")
    .sort()
    .at(-1) ?? "";

/**
 * The dialog that deploys to the servers of many nodes again, with credentials that are typed once. If it changes policies, it stays open until
 * each server was compared: the differences are shown, and those that were ticked are written with the same credentials.
 */
export function RedeployManyDialog({ nodes, widening: begin = false }: { nodes: readonly string[]; widening?: boolean }) {
  const there = useNodes(nodes, ({ credentials_kept: kept, simulated }) => [kept, simulated]);
  /** The nodes of the first request, also those that were removed since; null = none was sent. */
  const [begun, setBegun] = useState<readonly NodeView[] | null>(null);
  const views = begun ?? there;
  const [entries, setEntries] = useState<ConnectionForm>(EMPTY_CONNECTION);
  const [mode, setMode] = useState("");
  const [widening, setWidening] = useState(begin);
  const [asked, setAsked] = useState(false);
  const [wrong, setWrong] = useState<FormErrors>({});
  const [refusal, setRefusal] = useState("");
  /** The requests that were sent, the newest last. */
  const [sent, setSent] = useState<readonly { batch: string; answer: RedeployedView }[]>([]);
  const { sending, status, submit } = useSubmit();
  const { form, judged } = useFocusFirstError(wrong);
  const without = views.filter(({ credentials_kept: kept }) => !kept);
  const needs = widening || asked || without.length > 0;
  const title = t`Deploy ${plural(views.length, "server")} again`;
  const lines = widening
    ? { ...(mode ? { policy: mode as ConnectionForm["policy"] } : {}), ...policyLines({ ...entries, policy: "managed" }) }
    : {};
  const change = (part: Partial<ConnectionForm>): void => setEntries((before) => ({ ...before, ...part }));
  const send = (these: readonly string[], seen: Record<string, string>): void => {
    setRefusal("");
    void submit({
      what: title,
      strict: widening,
      send: () =>
        redeployNodes({
          nodes: [...these],
          ...(needs ? { username: entries.username.trim(), ...signInBody(entries) } : {}),
          ...lines,
          ...(Object.keys(seen).length ? { policy_seen: seen } : {}),
        }),
      taken: (answer) => {
        setBegun(views);
        setSent((before) => [...before, { batch: batchOf(answer), answer }]);
        if (answer.refused.some(({ code }) => code === "credentials_required")) setAsked(true);
      },
      late: () => toastStarted(title, () => go(DEPLOYMENTS)),
      refused: (why, error) => setRefusal(error.code === "credentials_required" ? missingCredentialsReason(error.facts) : why),
      back: (unanswered) => (unanswered ? go(DEPLOYMENTS) : showDialog({ kind: "redeploy-many", nodes })),
    });
  };
  const deploy = (): void => {
    const found: FormErrors = needs
      ? { ...signInErrors(entries), ...(entries.username.trim() ? {} : { username: t`Enter the user to sign in as.` }) }
      : {};
    judged();
    setWrong(found);
    if (sending || Object.keys(found).length) return;
    if (widening && !Object.keys(lines).length) return setRefusal(t`Choose what the policies are to allow, or leave them as they are.`);
    send(
      views.map(({ id }) => id),
      {},
    );
  };
  if (sent.length)
    return (
      <Progress
        title={title}
        names={new Map(views.map(({ id, name }) => [id, name]))}
        sent={sent}
        sending={sending}
        status={status}
        refusal={refusal}
        onWrite={(rows) =>
          send(
            rows.flatMap(({ node_id: id }) => id ?? []),
            digestsOf(rows),
          )
        }
      />
    );
  const most = views.length > MOST;
  return (
    <Dialog title={title} subtitle={namesOf(views)} size={needs ? "" : "narrow"} onClose={closeDialog}>
      <Form formRef={form} noValidate onSubmit={() => void (!most && views.length && deploy())}>
        <div class={needs ? "deploy-form" : "body"}>
          <ActionError text={refusal} />
          {most && (
            <Banner mark={<Glyph kind="warn" label="" />}>{t`At most ${MOST} servers at once: deploy them in several parts.`}</Banner>
          )}
          <p class="t2">
            {t`Ground Control signs in over SSH and reinstalls the agents. The nodes keep their history, names, tags and policies. A server where this fails stays as it was.`}
          </p>
          <PolicyWish
            widening={widening}
            entries={{ ...entries, policy: mode === "" ? "managed" : (mode as ConnectionForm["policy"]) }}
            modes={MODES}
            mode={mode}
            onWidening={setWidening}
            onMode={setMode}
            onChange={change}
          />
          {needs && (
            <>
              <p class="t2">{credentialsNeeded(widening, without, views.length)}</p>
              <UserField value={entries.username} wrong={wrong.username} onText={(username) => change({ username })} />
              <SignInFields entries={entries} wrong={wrong} onChange={change} />
            </>
          )}
        </div>
        <Foot status={status} sending={sending} focused={!needs} onClose={closeDialog}>
          <Button kind="primary" icon="rotate-cw" type="submit" busy={sending} disabled={most || !views.length}>
            {widening ? t`Compare the policies and deploy` : title}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}

function credentialsNeeded(widening: boolean, without: readonly NodeView[], total: number): string {
  const why = widening
    ? t`Stored credentials cannot change a policy.`
    : without.length === total
      ? t`No credentials are stored for these servers.`
      : t`No credentials are stored for ${namesOf(without)}.`;
  return `${why} ${t`Enter them once; they are used only for these deployments, on all of these servers.`}`;
}

interface ProgressProps {
  title: string;
  names: ReadonlyMap<string, string>;
  sent: readonly { batch: string; answer: RedeployedView }[];
  sending: boolean;
  status: string;
  refusal: string;
  onWrite: (rows: readonly DeploymentView[]) => void;
}

/** What has become of each server, and the differences of policies to confirm. */
function Progress({ title, names, sent, sending, status, refusal, onWrite }: ProgressProps) {
  const [ticked, setTicked] = useState<readonly string[]>([]);
  const batches = sent.map(({ batch }) => batch).filter(Boolean);
  const { found } = usePolling(
    batches.join(),
    EVERY_MS,
    async () => (await Promise.all(batches.map(loadServers))).flat(),
    (rows) => rows.some(({ state }) => state === "running" || state === "awaiting_host_key"),
  );
  // A later request for a node counts in place of an earlier one.
  const latest = new Map<string, DeploymentView>();
  for (const row of [...sent.flatMap(({ answer }) => answer.deployments), ...(found ?? [])]) {
    const known = latest.get(row.node_id ?? row.id);
    if (!known || row.id > known.id || (row.id === known.id && row.version >= known.version)) latest.set(row.node_id ?? row.id, row);
  }
  const rows = [...latest.values()];
  const refused = sent.at(-1)?.answer.refused ?? [];
  const counts = countServers(rows);
  const differences = policyDifferences(rows);
  const differing = differences.flatMap(({ rows: of }) => of);
  const failed = rows.filter((row) => row.state === "failed" && !differing.includes(row));
  const written = rows.filter(({ state, policy_found: policy }) => state === "succeeded" && policy?.outcome === "written");
  const chosen = differing.filter(({ id }) => ticked.includes(id));
  const open = counts.open + counts.asks;
  const said = SERVER_GROUPS.filter((group) => group !== "failed" && counts[group]).map(
    (group) => `${counts[group]} ${SERVER_GROUP_LABELS[group]}`,
  );
  if (differing.length) said.push(t`${differing.length} with another policy, unchanged`);
  if (failed.length) said.push(t`${failed.length} failed`);
  return (
    <Dialog title={title} onClose={closeDialog}>
      <div class="body stack">
        <ActionError text={refusal} />
        <p class="strong" role="status">
          {open > 0 && <Glyph kind="run" label="" />} {said.join(", ")}
        </p>
        {counts.asks > 0 && (
          <Banner
            mark={<Glyph kind="wait" label="" />}
            action={<Button onClick={() => leave(batches.at(-1) ?? "")}>{t`Compare the fingerprints`}</Button>}
          >
            {t`${plural(counts.asks, "server")} wait until you have confirmed the host key.`}
          </Banner>
        )}
        {written.length > 0 && <p class="t2">{t`Policy written: ${namesOf(written)}.`}</p>}
        {refused.length > 0 && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            <b>{t`${plural(refused.length, "server")} not started:`}</b>{" "}
            <span class="plain">
              {byReason(refused.map(({ node_id: id, message }) => [names.get(id) ?? id, message]))
                .map(([why, of]) => `${listSome(of, NAMED)}: ${why}`)
                .join("; ")}
            </span>
          </Banner>
        )}
        {byReason(failed.map((row) => [row.name || row.host, deploymentStatusText(row)])).map(([why, of]) => (
          <p key={why} class="crit">
            {t`${listSome(of, NAMED)}: ${why}`}
          </p>
        ))}
        {differences.map(({ current, wanted, rows: of }) => {
          const all = of.map(({ id }) => id);
          return (
            <PolicyTexts key={all.join()} current={current} wanted={wanted}>
              <Check
                checked={all.every((id) => ticked.includes(id))}
                onCheck={(on) => setTicked(on ? [...ticked, ...all] : ticked.filter((id) => !all.includes(id)))}
              >
                {t`Write this policy on ${namesOf(of)}. Nothing was changed there yet.`}
              </Check>
            </PolicyTexts>
          );
        })}
      </div>
      <Foot
        status={status || (differing.length && !chosen.length ? t`What is not ticked stays as its owner wrote it.` : "")}
        sending
        focused
        onClose={closeDialog}
      >
        <Button kind={differing.length ? "" : "primary"} onClick={() => leave(batches.at(-1) ?? "")}>
          {t`Show each step`}
        </Button>
        {differing.length > 0 && (
          <Button kind="primary" icon="rotate-cw" busy={sending} disabled={!chosen.length} onClick={() => onWrite(chosen)}>
            {chosen.length ? t`Write the policy on ${plural(chosen.length, "server")}` : t`Write the policy`}
          </Button>
        )}
      </Foot>
    </Dialog>
  );
}

function leave(batch: string): void {
  closeDialog();
  go(batch ? `/deployments/${batch}` : DEPLOYMENTS);
}
