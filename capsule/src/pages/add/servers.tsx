import { useState } from "preact/hooks";
import { age, duration, elapsed, plural, t, tElements, timeOrDate } from "../../core/text";
import {
  addressText,
  pendingHostKeys,
  serverGroupOf,
  SERVER_GROUP_LABELS,
  SERVER_GROUPS,
  countServers,
  type PendingHostKey,
  type ServerGroup,
} from "../../core/deployments/server-list";
import { deploymentStatusText, workedSeconds } from "../../core/deployments/deploy-steps";
import { dayStart, now } from "../../state/clock";
import { cancelDeployment } from "../../state/deployment";
import { showDialog } from "../../state/dialogs";
import { forEachLimited } from "../../state/bulk";
import { confirmHostKeys, loadServers, tryAgain, tryAllAgain } from "../../state/servers";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import type { ApiError, DeploymentView } from "../../state/types";
import { Button, Empty, Failure, Glyph, type GlyphKind, Loading } from "../../ui";
import { Check } from "../../ui/form";
import { GridHead, Cell } from "../../ui/grid-head";
import { StaleNotice } from "../../ui/stale-notice";
import { usePolling } from "../bulk/use-polling";
import { StopBulkDialog, BulkSummary } from "../bulk/bulk-summary";
import { ActionError, useAction } from "../use-action";
import { deniedLogins, isDenied, refusedLogins, type LackingLogin } from "./lacking-logins";
import { RetrySignIn, showRefused } from "./retry-sign-in";

const EVERY_MS = 1500;
const AT_ONCE = 4;
export const SERVER_GROUP_GLYPHS: Record<ServerGroup, GlyphKind> = {
  failed: "fail",
  asks: "wait",
  open: "run",
  done: "done",
  other: "ended",
};
const OPEN: readonly ServerGroup[] = ["asks", "open"];

/** The page of a batch of servers: fingerprints to confirm, progress, and a retry for those that failed. */
export function ServersPage({ id }: { id: string }) {
  const {
    found: rows,
    failure,
    load,
  } = usePolling(
    id,
    EVERY_MS,
    () => loadServers(id),
    (found) => found.some((one) => OPEN.includes(serverGroupOf(one.state))),
  );
  if (rows?.length) return <Loaded rows={rows} failure={failure} load={load} />;
  return (
    <div class="page">
      <h1 class="hidden-text" tabIndex={-1}>
        {t`Adding servers`}
      </h1>
      {rows ? (
        <Empty icon="server" title={t`There is no such request`} text={t`You do not have access to its servers, or the address is wrong.`}>
          <a class="button" href="/">
            {t`Go to the fleet`}
          </a>
        </Empty>
      ) : failure ? (
        <Failure title={t`The servers could not be read`} error={failure} onRetry={load} />
      ) : (
        <Loading rows={8} what={t`the servers`} onRetry={load} />
      )}
    </div>
  );
}

function Loaded({ rows, failure, load }: { rows: readonly DeploymentView[]; failure: ApiError | null; load: () => void }) {
  const [only, setOnly] = useState<ServerGroup | null>(null);
  const [asking, setAsking] = useState(false);
  const [lacking, setLacking] = useState<readonly LackingLogin[]>([]);
  const act = useAction();
  const counts = countServers(rows);
  const total = rows.length;
  const open = counts.asks + counts.open;
  const ended = total - open;
  const keys = pendingHostKeys(rows);
  const failed = rows.filter((one) => one.state === "failed");
  const first = rows[0] as DeploymentView;
  const ofNodes = rows.flatMap(({ again, state, node_id: id }) =>
    again && id && (state === "failed" || state === "cancelled") ? [id] : [],
  );
  const differing = failed.some(({ policy_found: policy }) => policy?.outcome === "differs");
  const over = open ? null : Math.max(...rows.map((one) => one.ended_at ?? 0));
  const fitting = rows.filter((one) => only === null || serverGroupOf(one.state) === only);
  const again = async (): Promise<void> => {
    const others = failed.filter((one) => !isDenied(one));
    const refused = others.length ? await tryAllAgain(others.map(({ id }) => id)) : [];
    load();
    showRefused(refused);
    setLacking([
      ...deniedLogins(failed),
      ...refusedLogins(
        others.map((row) => ({ row })),
        refused,
      ),
    ]);
  };
  return (
    <div class="page job-page">
      <div class="page-head">
        <div class="grow">
          <h1 tabIndex={-1}>{first.again ? t`Deploying ${plural(total, "server")} again` : t`Adding ${plural(total, "server")}`}</h1>
          <p class="meta t3">
            {timeOrDate(first.created_at, dayStart.value)} · <span class="num">{elapsed(first.created_at, over, now.value)}</span>
          </p>
        </div>
        {ofNodes.length > 0 && mayAct.value && (
          <Button onClick={() => showDialog({ kind: "redeploy-many", nodes: ofNodes, widening: differing })}>{t`Deploy again…`}</Button>
        )}
        {failed.length > 0 && mayAct.value && (
          <Button icon="rotate-cw" busy={act.busy} onClick={() => void act.run(again)}>
            {t`Retry all that failed`}
          </Button>
        )}
        {open > 0 && mayAct.value && (
          <Button kind="danger" icon="square" onClick={() => setAsking(true)}>
            {t`Stop all…`}
          </Button>
        )}
      </div>
      <ActionError text={act.refusal} />
      <StaleNotice failure={failure} />
      <BulkSummary
        mark={counts.open ? "run" : counts.asks ? "wait" : counts.failed ? "fail" : "done"}
        words={counts.open ? t`In progress` : counts.asks ? t`Waiting for you` : counts.failed ? t`Ended with problems` : t`Ended`}
        ended={ended}
        total={total}
        groups={SERVER_GROUPS.map((key) => ({ key, words: SERVER_GROUP_LABELS[key], mark: SERVER_GROUP_GLYPHS[key], count: counts[key] }))}
        only={only}
        onOnly={setOnly}
      />
      {keys.length > 0 && mayAct.value && <HostKeys keys={keys} coming={counts.open} load={load} />}
      <div class="card grid-table servers-table" role="table" aria-label={t`Servers`}>
        <GridHead labels={[t`State`, t`Server`, t`Address`, t`Status`, t`Took`, t`Actions`]} unseen={[t`State`, t`Actions`]} />
        {fitting.map((one) => (
          <Row key={one.id} deployment={one} load={load} />
        ))}
        {!fitting.length && <p class="pad t3">{t`None at the moment.`}</p>}
      </div>
      {asking && <StopAll rows={rows} load={load} onClose={() => setAsking(false)} />}
      {lacking.length > 0 && <RetrySignIn lacking={lacking} load={load} onLacking={setLacking} />}
    </div>
  );
}

/** All fingerprints that wait, with one confirmation for all. */
function HostKeys({ keys, coming, load }: { keys: readonly PendingHostKey[]; coming: number; load: () => void }) {
  // The user confirms the fingerprints that are shown. If another one arrives, the confirmation is cleared.
  const shown = keys.map((key) => `${key.fingerprint} ${key.ids.join()}`).join("\n");
  const [compared, setCompared] = useState("");
  const act = useAction();
  const trust = async (): Promise<void> => {
    const { refused } = await confirmHostKeys(
      keys.flatMap(({ ids, fingerprint }) => ids.map((deployment) => ({ deployment, fingerprint }))),
    );
    const [first] = refused;
    if (first) toast("fail", t`${plural(refused.length, "server")} did not continue`, first.message);
    load();
  };
  return (
    <section class="card host-keys" aria-label={t`Host keys`}>
      <h2 class="strong">{t`Are these the right servers?`}</h2>
      <p class="t2">
        {tElements`Stardust has not seen these before. On each server, ${<code class="mono">ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub</code>} shows its fingerprint. Stardust has not signed in to any of them yet.`}
        {coming > 0 && ` ${t`${plural(coming, "server")} may still follow.`}`}
      </p>
      <ul class="keys-list" tabIndex={0} aria-label={t`Fingerprints`}>
        {keys.map((key) => (
          <li key={`${key.where} ${key.fingerprint}`}>
            <span class="medium cut">
              {key.where}
              {key.jump && <span class="t3"> · {t`jump host of ${plural(key.ids.length, "server")}`}</span>}
            </span>
            <span class="t3">{key.type.replace(/^ssh-/, "").toUpperCase()}</span>
            <code class="mono">{key.fingerprint}</code>
          </li>
        ))}
      </ul>
      <ActionError text={act.refusal} />
      <div class="row wrap">
        <Check checked={compared === shown} onCheck={(on) => setCompared(on ? shown : "")}>
          {keys.length === 1 ? t`The fingerprint matches` : t`All ${keys.length} fingerprints match`}
        </Check>
        <Button kind="primary" class="end" busy={act.busy} disabled={compared !== shown} onClick={() => void act.run(trust)}>
          {keys.length === 1 ? t`Trust it and continue` : t`Trust these ${keys.length} and continue`}
        </Button>
      </div>
    </section>
  );
}

function Row({ deployment, load }: { deployment: DeploymentView; load: () => void }) {
  const act = useAction();
  const at = serverGroupOf(deployment.state);
  const name = deployment.name || deployment.host;
  const statusText = act.refusal || deploymentStatusText(deployment);
  const worked = workedSeconds(deployment, now.value);
  return (
    <div role="row" data-host={deployment.host} data-state={deployment.state}>
      <Cell>
        <Glyph kind={SERVER_GROUP_GLYPHS[at]} label={SERVER_GROUP_LABELS[at]} />
      </Cell>
      <Cell head class="cut medium">
        {deployment.node_id && at === "done" ? <a href={`/n/${deployment.node_id}`}>{name}</a> : name}
      </Cell>
      <Cell class="cut t2 mono">
        {addressText(deployment)}
        {deployment.jump && <span class="t3"> {t`over ${deployment.jump.host}`}</span>}
      </Cell>
      <Cell class={at === "failed" ? "crit said" : "t2 cut"} title={statusText}>
        {statusText}
      </Cell>
      <Cell class="t3 num">{worked === null ? "—" : deployment.ended_at === null ? age(worked) : duration(worked)}</Cell>
      <Cell class="right row">
        {at === "failed" && mayAct.value && (
          <Button
            slim
            busy={act.busy}
            name={t`Retry ${name}`}
            icon="rotate-cw"
            onClick={() =>
              void act.run(async () => {
                await tryAgain(deployment.id);
                load();
              })
            }
          />
        )}
        <Button
          slim
          kind="quiet"
          more={{ "aria-label": t`Details of ${name}` }}
          onClick={() => showDialog({ kind: "add", deployment: deployment.id })}
        >
          {t`Details`}
        </Button>
      </Cell>
    </div>
  );
}

function StopAll({ rows, load, onClose }: { rows: readonly DeploymentView[]; load: () => void; onClose: () => void }) {
  // The number is fixed when the dialog opens, because the user has to type it.
  const [open] = useState(() => rows.filter((one) => OPEN.includes(serverGroupOf(one.state))));
  const stop = async (): Promise<void> => {
    const { failed } = await forEachLimited(open, AT_ONCE, (one) => cancelDeployment(one.id));
    // A conflict (409) is a deployment that has ended by itself.
    const [refused] = failed.filter(({ error }) => error.status !== 409);
    if (refused) toast("fail", t`Some could not be stopped`, refused.error.detail);
    load();
    onClose();
  };
  return (
    <StopBulkDialog
      title={t`Stop adding these servers`}
      text={t`${plural(open.length, "server")} in progress or waiting: what was started on them is undone. Those already connected stay.`}
      button={t`Stop ${plural(open.length, "server")}`}
      count={open.length}
      act={stop}
      onClose={onClose}
    />
  );
}
