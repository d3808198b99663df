import { useMemo, useRef, useState } from "preact/hooks";
import { consequence, isDangerous, nodesOf, policyRefusal, listSome } from "../../core/jobs/batch";
import { withoutName } from "../../core/jobs/left-out";
import { isPlanned, JOB_VERBS, SKIP_REASON_LABELS, skippedNodes, splitNames, wantsPackages } from "../../core/jobs/package-actions";
import { plural, t, tElements } from "../../core/text";
import { actionLabel } from "../../core/jobs/job-labels";
import { VERBS } from "../../core/jobs/verbs.gen";
import { newIdempotencyKey, submitBatch } from "../../state/job-detail";
import { closeDialog } from "../../state/dialogs";
import { nodeSignal } from "../../state/fleet";
import { nodeLabel } from "../../state/node-label";
import { go } from "../../state/router";
import { unpick } from "../../state/selection";
import { ApiError, type BatchBody, type BatchView, type NodeView } from "../../state/types";
import { Banner, Button, Glyph, Icon, TextField } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { ConfirmName, SelectField } from "../../ui/form";
import { ActionError } from "../use-action";
import { useNodes } from "./use-nodes";
import { useLostAnswer } from "../jobs/submit/use-lost-answer";
import { cancelPlans, PlansTable, usePlans, withWork } from "./plans";
import { RebootChoice } from "../jobs/submit/reboot-choice";
import { isUnanswered, toastStarted, useSubmit, submitErrorText } from "../jobs/submit/use-submit";

type Action = BatchBody["action"];

const ACTIONS: [string, string][] = JOB_VERBS.map(([action]) => [action, actionLabel(action)]);
const MOST = 1000;
const RULES: readonly string[] = [
  t`Configuration files that were changed on a server stay as they are.`,
  t`Each server gets its own job: a failure on one does not stop the others.`,
  t`The jobs continue if this page, the connection or Ground Control goes away, and each runs only once.`,
];

/** The fields of a node on which this dialog depends. */
const propsOf = ({ state, policy }: NodeView): readonly unknown[] => [state, policy];

/** The dialog that starts one action on many nodes. For some actions it can show the plan of each node first. `action` fixes the action, and `packages` its packages. */
export function BulkJobDialog({
  nodes: ids,
  action: asked,
  packages: given = [],
}: {
  nodes: readonly string[];
  action?: Action;
  packages?: readonly string[];
}) {
  const first = asked ?? "check";
  const live = useNodes(ids, propsOf);
  /** The nodes of a request that the hub may have accepted: a retry is for the same nodes. */
  const [sentTo, setSentTo] = useState<readonly NodeView[] | null>(null);
  const nodes = sentTo ?? live;
  const [action, setAction] = useState<Action>(first);
  const [names, setNames] = useState(given.join(" "));
  const [planning, setPlanning] = useState<BatchView | null>(null);
  const plans = usePlans(planning);
  /** The nodes of a request from plans that the hub may have accepted: a retry does not add nodes whose plan arrives later. */
  const [sent, setSent] = useState<readonly string[] | null>(null);
  /** Nodes with a plan that the user has left out. */
  const [without, setWithout] = useState<ReadonlySet<string>>(new Set());
  const [rebooting, setRebooting] = useState(false);
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState("");
  const [asking, setAsking] = useState(false);
  const { sending, status, submit } = useSubmit();
  const { mark } = useLostAnswer(({ id, batch_id }) => {
    if (plans) cancelPlans(plans);
    closeDialog();
    unpick();
    go(batch_id === null ? `/jobs/${id}` : `/batches/${batch_id}`);
  });
  /** Whether the job is for the packages in `given`. */
  const chosen = given.length > 0 && action === first && !wantsPackages(action);
  const naming = wantsPackages(action) || chosen;
  const packages = chosen ? [...given] : naming ? splitNames(names) : [];
  // The same request, sent again after a lost answer, has the same key. A changed request has a new one.
  const key = useMemo(newIdempotencyKey, [
    action,
    packages.join(" "),
    planning?.id,
    nodes.map(({ id }) => id).join(),
    [...without].join(),
    rebooting,
  ]);
  const [replanKey, setReplanKey] = useState(newIdempotencyKey);
  const refused = new Map<string, string[]>();
  const able: NodeView[] = [];
  for (const node of nodes) {
    const why = policyRefusal(node.policy, action);
    if (why) refused.set(why, [...(refused.get(why) ?? []), node.name]);
    else able.push(node);
  }
  // Nodes that allow no plan are asked too: the hub refuses them, and the order's page then says what became of each chosen node.
  const toPlan = nodes.filter((node) => able.includes(node) || policyRefusal(node.policy, "plan")).map(({ id }) => id);
  const planKey = useMemo(newIdempotencyKey, [action, packages.join(" "), toPlan.join()]);
  const onClose = closeDialog;
  const working = plans ? (sent ?? withWork(plans).filter((id) => nodeSignal(id) && !without.has(id))) : [];
  /** The number of servers on which jobs start: all eligible servers, or with plans those with something to do. */
  const willing = plans?.complete || working.length ? working.length : able.length;
  /** The nodes without a plan, by reason. The other nodes can start without waiting for them. */
  const left = plans ? skippedNodes(plans.batch, plans.byNode, (id) => nodeSignal(id)?.peek().state === "online") : null;
  /** The chosen nodes of which no plan was asked, with the reason. */
  const leftOut = new Map(refused);
  const known = new Set([...refused.values()].flat());
  for (const { node_id, message } of plans?.batch.refused ?? []) {
    const name = nodeLabel(node_id);
    const why = withoutName(message, name);
    if (!known.has(name)) leftOut.set(why, [...(leftOut.get(why) ?? []), name]);
  }
  const away = able.filter(({ state }) => state !== "online");
  const danger = isDangerous(action);
  const { start: label = actionLabel(action), before } = VERBS[action] ?? {};
  const effect = consequence(action, willing, plans?.complete || working.length > 0);
  const ready =
    willing > 0 &&
    nodes.length <= MOST &&
    (!naming || packages.length > 0) &&
    (!danger || typed === String(willing)) &&
    (!planning || working.length > 0);
  const choose = (next: string): void => {
    setAction(next as Action);
    setTyped("");
    setWrong("");
    setPlanning(null);
    setRebooting(false);
    setSent(null);
    setSentTo(null);
  };
  const changeNames = (next: string): void => {
    setNames(next);
    setTyped("");
    setPlanning(null);
    setSent(null);
    setSentTo(null);
  };
  const mayReboot = VERBS[action]?.upgrades === true && able.every(({ policy }) => !policyRefusal(policy, "reboot"));
  const leaveOut = (node: string, out: boolean): void => {
    setTyped("");
    const next = new Set(without);
    if (out) next.add(node);
    else next.delete(node);
    setWithout(next);
  };
  const currentKey = useRef(planKey);
  currentKey.current = planKey;
  const plan = async (): Promise<void> => {
    if (!isPlanned(action)) return;
    setAsking(true);
    setWrong("");
    setTyped("");
    try {
      const made = await submitBatch(
        { action: "plan", for: action, nodes: toPlan, ...(naming ? { packages } : {}) },
        planning ? replanKey : planKey,
      );
      setReplanKey(newIdempotencyKey());
      if (plans) cancelPlans(plans);
      // The user may have chosen something else since the request.
      if (currentKey.current === planKey) {
        setPlanning(made);
        setWithout(new Set());
        setSent(null);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (currentKey.current === planKey) setWrong(submitErrorText(error));
    }
    setAsking(false);
  };
  const start = (): void => {
    if (!ready || asking || sending) return;
    setWrong("");
    const bound = planning ? { nodes: [...working], plans_of: planning.id } : { nodes: nodes.map(({ id }) => id) };
    const body = { action, ...bound, ...(naming ? { packages } : {}), ...(rebooting ? { reboot: true } : {}) };
    const what = t`${actionLabel(action)} on ${plural(bound.nodes.length, "node")}`;
    const markUnanswered = mark(action, bound.nodes);
    if (planning) setSent(bound.nodes);
    setSentTo(nodes);
    void submit({
      what,
      send: async () => {
        const made = await submitBatch(body, key);
        if (plans) cancelPlans(plans);
        return `/batches/${made.id}`;
      },
      taken: (path) => {
        onClose();
        unpick();
        go(path);
      },
      late: (path) => toastStarted(what, () => go(path)),
      refused: (why, error) => {
        setWrong(why);
        if (isUnanswered(error)) return markUnanswered();
        setSent(sent);
        setSentTo(null);
      },
    });
  };
  return (
    <Dialog
      size={planning ? "wide" : ""}
      title={asked ? t`${actionLabel(action)} on ${nodesOf(able.length, nodes.length)}` : t`Run on ${nodesOf(able.length, nodes.length)}`}
      subtitle={listSome(
        nodes.map(({ name }) => name),
        6,
      )}
      icon="package"
      onClose={onClose}
    >
      <div class="body">
        <ActionError text={wrong} />
        {nodes.length > MOST && (
          <Banner kind="crit" mark={<Glyph kind="fail" label="" />}>
            {t`At most ${MOST} nodes at once. Select fewer.`}
          </Banner>
        )}
        {!asked && <SelectField label={t`What to do`} value={action} onPick={choose} options={ACTIONS} />}
        {chosen ? (
          <p class="t2">{tElements`Only ${<b class="mono">{given.join(", ")}</b>}, and what it needs.`}</p>
        ) : (
          naming && <TextField label={t`Packages`} hint={t`Exact names, separated by spaces.`} value={names} onText={changeNames} code />
        )}
        {plans && <PlansTable plans={plans} leftOut={leftOut} without={without} locked={sending || sent !== null} onWithout={leaveOut} />}
        {mayReboot && (!planning || working.length > 0) && (
          <RebootChoice
            rebooting={rebooting}
            expected={working.some((id) => plans?.byNode.get(id)?.reboot === "yes")}
            onPick={setRebooting}
          />
        )}
        {before && action !== "reboot" && <p class="t2">{before}</p>}
        {!danger && isPlanned(action) && (
          <ul class="rules">
            {[effect, ...RULES].map((rule) => (
              <li key={rule}>
                <Icon name="check" size="small" />
                {rule}
              </li>
            ))}
          </ul>
        )}
        {!plans &&
          [...refused].map(([why, who]) => (
            <Banner key={why} mark={<Glyph kind="warn" label="" />}>
              <b>{t`${plural(who.length, "node")} cannot do this:`}</b>{" "}
              <span class="plain">
                {listSome(who, 8)}. {why}
              </span>
            </Banner>
          ))}
        {left && left.size > 0 && working.length > 0 && (
          <Banner kind="calm" mark={<Glyph kind="off" label="" />}>
            <b>{t`${plural([...left.values()].flat().length, "node")} left out:`}</b>{" "}
            <span class="plain">
              {[...left].map(([why, who]) => `${listSome(who.map(nodeLabel), 8)} (${SKIP_REASON_LABELS[why]})`).join("; ")}.
              {(left.has("away") || left.has("planning") || left.has("reading")) &&
                ` ${t`Starting now does not wait for their plans: these are cancelled, and nothing is done there.`}`}
            </span>
          </Banner>
        )}
        {away.length > 0 && !planning && (
          <Banner kind="calm" mark={<Glyph kind="off" label="" />}>
            <b>{t`${plural(away.length, "node")} not connected:`}</b>{" "}
            <span class="plain">{t`${listSome(
              away.map(({ name }) => name),
              8,
            )}. A job there waits a few minutes for the server to come back, then expires.`}</span>
          </Banner>
        )}
        {danger && willing > 0 && (
          <>
            <Banner kind="crit" mark={<Glyph kind="crit" label="" />}>
              {effect}
            </Banner>
            <ConfirmName name={String(willing)} value={typed} onText={setTyped} />
          </>
        )}
      </div>
      <Foot status={status} sending={sending} focused onClose={onClose}>
        {isPlanned(action) && (!planning || (left && !left.has("planning") && !left.has("reading"))) && (
          <Button
            kind={planning ? "" : "primary"}
            busy={asking}
            disabled={sending || able.length === 0 || nodes.length > MOST || (naming && packages.length === 0)}
            onClick={() => void plan()}
          >
            {planning ? t`Plan again` : t`Preview`}
          </Button>
        )}
        <Button
          kind={danger ? "destroy" : isPlanned(action) && !planning ? "" : "primary"}
          busy={sending}
          disabled={!ready || asking}
          onClick={start}
        >
          {planning
            ? t`${label} on ${plural(working.length, "node")}`
            : action === "reboot"
              ? t`Reboot ${plural(willing, "server")}`
              : isPlanned(action)
                ? t`${label} on ${willing} without a preview`
                : t`${label} on ${willing}`}
        </Button>
      </Foot>
    </Dialog>
  );
}
