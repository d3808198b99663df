/** One roll-out: what it does now and why, its waves with their gates, and each server. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import {
  countsWords,
  packagesWords,
  rolloutPhase,
  rolloutTone,
  startWords,
  stateWords,
  TARGET_STATES,
  TARGET_STEPS,
} from "../../core/rollouts/rollout-text";
import { age, plural, t, timeOrDate } from "../../core/text";
import { dayStart, now } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import {
  followRollout,
  goOnWithRollout,
  killTarget,
  loadTargets,
  pauseRollout,
  resumeRollout,
  retryRest,
  startRollout,
  stopRollout,
  takeOverRollout,
} from "../../state/rollouts";
import { go } from "../../state/router";
import { isAdmin, mayAct } from "../../state/session";
import type { ApiError, RolloutView, TargetView } from "../../state/types";
import { Banner, Button, Failure, Glyph, type GlyphKind, Loading, TextField } from "../../ui";
import { CodeWords } from "../../ui/code-words";
import { ConfirmName } from "../../ui/form";
import { Cell, GridHead } from "../../ui/grid-head";
import { StaleNotice } from "../../ui/stale-notice";
import { FormDialog } from "../form-dialog";
import { RoleRefusal } from "../list-view";
import { ActionError, useAction } from "../use-action";
import { FollowedFreezes } from "./freeze-banner";
import { RolloutGlyph } from "./rollout-parts";
import { RolloutPhases } from "./rollout-phases";

type Wave = RolloutView["waves"][number];
type Gate = Wave["gates"][number];

const TARGET_GLYPHS: Record<TargetView["state"], GlyphKind> = {
  pending: "wait",
  held: "pause",
  running: "run",
  passed: "done",
  worse: "warn",
  failed: "fail",
  unknown: "off",
  not_started: "ended",
};

export function RolloutPage({ id }: { id: string }): VNode {
  const [rollout, setRollout] = useState<RolloutView | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(
    () =>
      followRollout(id, {
        change: (view) => {
          setRollout(view);
          setFailure(null);
        },
        refused: setFailure,
      }),
    [id, turn],
  );
  const again = (): void => setTurn(turn + 1);
  if (failure?.status === 403) return <RoleRefusal what={t`Your role cannot see roll-outs.`} />;
  if (failure && !rollout) return <Failure title={t`The roll-out could not be read`} error={failure} onRetry={again} />;
  if (!rollout) return <Loading what={t`the roll-out`} onRetry={again} />;
  return (
    <div class="page">
      <FollowedFreezes />
      <StaleNotice failure={failure} onRetry={again} />
      <Head rollout={rollout} onChange={setRollout} />
      <ol class="waves" aria-label={t`Waves`}>
        {rollout.waves.map((wave) => (
          <WaveCard key={wave.index} wave={wave} rollout={rollout} onChange={setRollout} />
        ))}
      </ol>
      <Targets rollout={rollout} onChange={setRollout} />
      <RolloutPhases rollout={rollout} />
    </div>
  );
}

interface Acting {
  rollout: RolloutView;
  onChange: (view: RolloutView) => void;
}

function Head({ rollout, onChange }: Acting): VNode {
  const act = useAction();
  const [stopping, setStopping] = useState(false);
  const [retrying, setRetrying] = useState(false);
  const phase = rolloutPhase(rollout.state);
  const retry = (): void => void act.run(async () => go(`/rollout/${(await retryRest(rollout.id)).id}`));
  const run = (doing: () => Promise<RolloutView>): void => void act.run(async () => onChange(await doing()));
  const left = rollout.targets.total - rollout.targets.passed;
  const tone = rolloutTone(rollout);
  return (
    <>
      <div class="page-head wrap">
        <div class="grow">
          <h1 tabIndex={-1} class="row">
            <RolloutGlyph one={rollout} /> {rollout.name}
          </h1>
          <p class="meta t3">
            {t`${stateWords(rollout)}: ${countsWords(rollout.targets)}`}
            {rollout.state === "waiting" && ` · ${t`begins ${timeOrDate(rollout.start_at, dayStart.value)}`}`}
            {rollout.ended_at === null && rollout.close_at !== null && ` · ${t`ends ${timeOrDate(rollout.close_at, dayStart.value)}`}`}
            {rollout.ended_at !== null && ` · ${t`ended ${timeOrDate(rollout.ended_at, dayStart.value)}`}`}
          </p>
        </div>
        {mayAct.value && !rollout.beyond && (
          <div class="row wrap">
            {rollout.state === "ready" && (
              <Button kind="primary" busy={act.busy} onClick={() => run(() => startRollout(rollout))}>
                {startWords(rollout.confirm)}
              </Button>
            )}
            {isAdmin.value && rollout.why === "owner" && (
              <Button kind="primary" icon="users" busy={act.busy} onClick={() => run(() => takeOverRollout(rollout.id))}>
                {t`Take over from ${rollout.owner}`}
              </Button>
            )}
            {rollout.state === "paused" && rollout.why !== "owner" && (
              <Button kind="primary" busy={act.busy} onClick={() => run(() => resumeRollout(rollout.id))}>{t`Resume`}</Button>
            )}
            {(rollout.state === "running" || rollout.state === "holding" || rollout.state === "waiting") && (
              <Button icon="pause" busy={act.busy} onClick={() => run(() => pauseRollout(rollout.id, "now"))}>{t`Pause`}</Button>
            )}
            {phase !== "over" && rollout.state !== "stopping" && (
              <Button kind="danger" icon="square" acts onClick={() => setStopping(true)}>{t`Stop…`}</Button>
            )}
            {phase === "over" && left > 0 && (
              <Button busy={act.busy} onClick={() => (rollout.policy_id === null ? retry() : setRetrying(true))}>
                {t`Try the other ${left} again…`}
              </Button>
            )}
          </div>
        )}
      </div>
      <ActionError text={act.refusal} />
      {rollout.words && (
        <Banner kind={tone === "crit" ? "crit" : tone === "warn" ? "" : "info"} mark={<RolloutGlyph one={rollout} />}>
          <b>{rollout.words}</b>
          {rollout.remedy && (
            <>
              {" "}
              <CodeWords text={t`What helps: ${rollout.remedy}.`} />
            </>
          )}
          {rollout.hold_since !== null && rollout.state === "holding" && (
            <> {t`Held for ${age(Math.max(0, now.value - rollout.hold_since))}.`}</>
          )}
        </Banner>
      )}
      {rollout.beyond && (
        <p class="meta t3">{t`It has servers beyond your rights, which are left out here: only somebody who may change all of them moves it.`}</p>
      )}
      {rollout.observes && <p class="meta t3">{t`Its gates only observe: they are shown, and only failed jobs stop it.`}</p>}
      {retrying && <RetryDialog left={left} rollout={rollout} onClose={() => setRetrying(false)} />}
      {stopping && <StopDialog rollout={rollout} onChange={onChange} onClose={() => setStopping(false)} />}
    </>
  );
}

/** The rest of a one-off roll-out is planned first, and asks then. That of a patch policy begins at once. */
function RetryDialog({ rollout, left, onClose }: { rollout: RolloutView; left: number; onClose: () => void }): VNode {
  return (
    <FormDialog
      title={t`Try the other ${left} now?`}
      icon="send"
      submit={t`Try again now`}
      refused={t`Not started`}
      onSave={async () => go(`/rollout/${(await retryRest(rollout.id)).id}`)}
      onClose={onClose}
    >
      <p>{t`It begins at once, within the limits of its patch policy. Windows and freezes hold.`}</p>
    </FormDialog>
  );
}

function StopDialog({ rollout, onChange, onClose }: Acting & { onClose: () => void }): VNode {
  const stop = async (): Promise<void> => {
    onChange(await stopRollout(rollout.id));
    onClose();
  };
  const { running, pending, held } = rollout.targets;
  return (
    <FormDialog
      title={t`Stop ${rollout.name}?`}
      icon="square"
      kind="destroy"
      submit={t`Stop the roll-out`}
      refused={t`Not stopped`}
      onSave={stop}
      onClose={onClose}
    >
      <p>
        {running > 0
          ? t`${plural(running, "server")} at work: what a server is changing runs to its end, and it is watched to the end. It is not rebooted.`
          : t`No server is at work.`}
      </p>
      <p>{t`${plural(pending + held, "server")} will not be started. Nothing that was installed is taken back.`}</p>
    </FormDialog>
  );
}

/** Those that ask nothing of anybody. */
const QUIET_VERDICTS: ReadonlySet<Gate["verdict"]> = new Set(["clear", "already", "not_available"]);

const WAVE_STATES = { waiting: t`not begun`, running: t`running`, done: t`done` } as const;

function WaveCard({ wave, rollout, onChange }: Acting & { wave: Wave }): VNode {
  const [goingOn, setGoingOn] = useState(false);
  const loud = wave.gates.filter(({ verdict }) => !QUIET_VERDICTS.has(verdict));
  const clear = wave.gates.filter(({ verdict }) => verdict === "clear").length;
  const blind = wave.gates.filter(({ verdict }) => verdict === "not_available");
  const held = (rollout.state === "holding" || rollout.state === "paused") && wave.index === rollout.wave;
  return (
    <li class={wave.state === "running" ? "card wave at-work" : "card wave"}>
      <header>
        <h2>{wave.index === 0 ? t`Canaries` : t`Wave ${wave.index}`}</h2>
        <span class="t3 meta">{WAVE_STATES[wave.state]}</span>
      </header>
      <p class="meta">{countsWords(wave.targets)}</p>
      {loud.length > 0 ? (
        <ul class="gates">
          {loud.map((gate) => (
            <GateRow key={`${gate.gate} ${gate.node_id ?? ""} ${gate.object}`} gate={gate} />
          ))}
        </ul>
      ) : (
        clear > 0 && <p class="meta t3">{t`${plural(clear, "gate")} clear`}</p>
      )}
      {blind.length > 0 && (
        <p class="meta t3">
          {t`${plural(new Set(blind.map(({ gate }) => gate)).size, "gate")} not available: ${[...new Set(blind.map(({ words }) => words))].join(", ")}`}
        </p>
      )}
      {held && loud.length > 0 && mayAct.value && !rollout.beyond && (
        <Button slim acts onClick={() => setGoingOn(true)}>{t`Go on in spite of it…`}</Button>
      )}
      {goingOn && <GoOnDialog rollout={rollout} onChange={onChange} onClose={() => setGoingOn(false)} />}
    </li>
  );
}

/** The changes on the node of a gate before it went wrong. */
const changesUrl = ({ node_id, gate, since_at }: Gate): string =>
  `/n/${node_id}/changes?at=${Math.floor(since_at ?? 0)}${gate === "cpu" ? "&metric=cpu.total" : gate === "memory" ? "&metric=memory.used" : ""}`;

const GateRow = ({ gate }: { gate: Gate }): VNode => (
  <li>
    <Glyph kind={gate.verdict === "failed" ? "crit" : gate.verdict === "worse" ? "warn" : "stale"} label="" />
    <div>
      <p class="anywhere">
        {gate.node_id && <a href={`/n/${gate.node_id}`}>{nodeLabel(gate.node_id)}</a>} {gate.words}
      </p>
      {gate.clears && <p class="meta t3">{gate.clears}</p>}
      {gate.node_id && gate.since_at !== null && (
        <p class="meta">
          <a href={changesUrl(gate)}>{t`What changed before?`}</a>
        </p>
      )}
    </div>
  </li>
);

/** What a person may accept of servers that have not begun, and the words for it. */
const ACCEPTED_HOLDS = {
  history: [t`Go on without comparing with the past…`, t`Go on without comparing with the past?`],
  already_red: [t`Begin in spite of what is critical…`, t`Begin on servers that are critical already?`],
} as const;
type AcceptedHold = keyof typeof ACCEPTED_HOLDS;

/** `hold`: only in spite of this; otherwise in spite of all gates of this wave. */
function GoOnDialog({ rollout, onChange, onClose, hold }: Acting & { onClose: () => void; hold?: AcceptedHold }): VNode {
  const [reason, setReason] = useState("");
  const goOn = async (): Promise<void> => {
    onChange(await goOnWithRollout(rollout.id, hold ?? "*", reason.trim()));
    onClose();
  };
  return (
    <FormDialog
      title={hold ? ACCEPTED_HOLDS[hold][1] : t`Go on in spite of the gates?`}
      icon="circle-alert"
      submit={t`Go on`}
      ready={reason.trim() !== ""}
      onSave={goOn}
      onClose={onClose}
    >
      <p>{t`It counts for this wave only. The reason is kept in the audit log.`}</p>
      <TextField label={t`Reason`} value={reason} onText={setReason} input={{ required: true, maxLength: 200, autofocus: true }} />
    </FormDialog>
  );
}

function KillDialog({ rollout, target, onChange, onClose }: Acting & { target: TargetView; onClose: () => void }): VNode {
  const [typed, setTyped] = useState("");
  const kill = async (): Promise<void> => {
    onChange(await killTarget(rollout.id, target.node_id, typed));
    onClose();
  };
  return (
    <FormDialog
      title={t`End the work on ${target.name} by force?`}
      icon="circle-alert"
      kind="destroy"
      submit={t`End by force`}
      ready={typed === target.name}
      refused={t`Not ended`}
      onSave={kill}
      onClose={onClose}
    >
      <p>{t`Its job is killed, or its watch ends. Packages may stay half installed: Repair helps.`}</p>
      <ConfirmName name={target.name} value={typed} onText={setTyped} />
    </FormDialog>
  );
}

function Targets({ rollout, onChange }: Acting): VNode {
  const [killing, setKilling] = useState<TargetView | null>(null);
  const [goingOn, setGoingOn] = useState<AcceptedHold | null>(null);
  const [targets, setTargets] = useState<readonly TargetView[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let over = false;
    loadTargets(rollout.id).then(
      (found) => {
        if (over) return;
        setTargets(found);
        setFailure(null);
      },
      (error: ApiError) => over || setFailure(error),
    );
    return () => {
      over = true;
    };
  }, [rollout.id, rollout.version, turn]);
  const again = (): void => setTurn(turn + 1);
  if (failure && !targets) return <Failure title={t`The servers could not be read`} error={failure} onRetry={again} />;
  if (!targets) return <Loading rows={3} what={t`the servers`} onRetry={again} />;
  const holds = (Object.keys(ACCEPTED_HOLDS) as AcceptedHold[]).filter((hold) =>
    targets.some(({ state, why }) => state === "held" && why === hold),
  );
  return (
    <div class="stack">
      <StaleNotice failure={failure} onRetry={again} />
      {holds.length > 0 && mayAct.value && !rollout.beyond && (
        <div>
          {holds.map((hold) => (
            <Button slim acts key={hold} onClick={() => setGoingOn(hold)}>
              {ACCEPTED_HOLDS[hold][0]}
            </Button>
          ))}
        </div>
      )}
      {goingOn && <GoOnDialog rollout={rollout} onChange={onChange} onClose={() => setGoingOn(null)} hold={goingOn} />}
      {killing && <KillDialog rollout={rollout} target={killing} onChange={onChange} onClose={() => setKilling(null)} />}
      <div class="card grid-table targets-table" role="table" aria-label={t`Servers of the roll-out`}>
        <GridHead labels={[t`Server`, t`Wave`, t`State`, t`Why`, t`Job`]} />
        {targets.map((one) => (
          <div role="row" key={one.node_id}>
            <Cell head class="cut medium">
              <a href={`/n/${one.node_id}`}>{one.name}</a>
            </Cell>
            <Cell class="t3">{one.wave === 0 ? t`canary` : t`wave ${one.wave}`}</Cell>
            <Cell class="row">
              <Glyph kind={TARGET_GLYPHS[one.state]} label="" />
              <span class="cut">{(one.state === "running" && TARGET_STEPS[one.step]) || TARGET_STATES[one.state]}</span>
            </Cell>
            <Cell class="t2 anywhere">
              {one.words || packagesWords(one.packages)}
              {one.remedy && (
                <span class="t3">
                  {" "}
                  <CodeWords text={t`What helps: ${one.remedy}.`} />
                </span>
              )}
              {one.reboot_owed && <span class="t3"> {t`Not rebooted: ${one.reboot_owed}.`}</span>}
              {isAdmin.value && rollout.state === "stopping" && one.state === "running" && one.step !== "reboot" && (
                <Button slim kind="quiet" acts onClick={() => setKilling(one)}>{t`End by force…`}</Button>
              )}
            </Cell>
            <Cell>{one.job_id && <a href={`/jobs/${one.job_id}`}>{t`Output`}</a>}</Cell>
          </div>
        ))}
      </div>
    </div>
  );
}
