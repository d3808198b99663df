import { useEffect } from "preact/hooks";
import type { Page } from "../../core/live/paged-list";
import { age, duration, elapsed, plural, t, timeOrDate } from "../../core/text";
import { addressText, countServers, serverGroupOf, SERVER_GROUP_LABELS, SERVER_GROUPS } from "../../core/deployments/server-list";
import { deploymentStatusText, deploymentLabel, workedSeconds } from "../../core/deployments/deploy-steps";
import { stateLabel } from "../../core/jobs/job-labels";
import { dayStart, now } from "../../state/clock";
import {
  deploymentEnded,
  followDeployment,
  loadDeployments as readNewest,
  newestDeployment,
  openDeployment,
  deploymentStates,
} from "../../state/deployments";
import { findDeployments } from "../../state/queries";
import { go } from "../../state/router";
import type { DeploymentView } from "../../state/types";
import { Empty, Failure, Glyph, Loading } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { rowOpening } from "../../ui/row-opening";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { Time } from "../../ui/time";
import { SERVER_GROUP_GLYPHS } from "../add/servers";
import { usePolling } from "../bulk/use-polling";
import { usePaged } from "../use-paged";

const EVERY_MS = 4000;
const NEWEST = 50;

/** The list of deployments. It is loaded again whenever a deployment changes. */
export function useDeployments() {
  const paged = usePaged<DeploymentView, Page<DeploymentView>>(
    async (cursor) => {
      const { deployments, next } = await findDeployments(cursor);
      return { items: deployments, next };
    },
    (one) => one.id,
    ["deployments"],
  );
  const load = (): void => void paged.list.refresh();
  useEffect(load, [paged.list, deploymentStates.value]);
  useEffect(() => paged.found?.items.forEach((one) => deploymentEnded(one) || followDeployment(one)), [paged.found]);
  // The hub does not send deployments of other users live, so the visible list polls.
  usePolling(
    "",
    EVERY_MS,
    () => readNewest(NEWEST),
    () => true,
  );
  return { ...paged, load };
}

/** The table of deployments, the newest first. Each row opens the dialog of its deployment. */
export function Deployments() {
  const { list, found, failure, load } = useDeployments();
  if (failure && !found) return <Failure title={t`The deployments could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={8} what={t`the deployments`} onRetry={load} />;
  if (!found.items.length)
    return (
      <Empty icon="server" title={t`No deployments yet`} text={t`Every server added, updated or removed is listed here, with each step.`} />
    );
  return (
    <>
      <StaleNotice failure={failure} onRetry={load} />
      <div
        class="card grid-table jobs-table deployments-table"
        role="table"
        aria-label={t`Deployments`}
        aria-rowcount={found.items.length + 1}
      >
        <GridHead labels={[t`State`, t`What`, t`Server`, t`Outcome`, t`By`, t`Started`, t`Took`]} unseen={[t`State`]} />
        {found.items.map((one) => (
          <DeploymentRow key={one.id} deployment={newestDeployment(one)} />
        ))}
      </div>
      <ShowMore more={found.next !== null} onMore={() => void list.more()} />
    </>
  );
}

/** The row of several deployments of one request. `cut`: more of its deployments may not be loaded yet. */
export function RequestRow({ all, cut }: { all: readonly DeploymentView[]; cut: boolean }) {
  const first = all[0] as DeploymentView;
  const counts = countServers(all);
  const worst = SERVER_GROUPS.find((group) => counts[group] > 0) ?? "other";
  const result = SERVER_GROUPS.filter((group) => counts[group] > 0)
    .map((group) => `${counts[group]} ${SERVER_GROUP_LABELS[group]}`)
    .join(", ");
  const servers = plural(all.length, "server");
  const ended = all.every(({ ended_at }) => ended_at !== null) ? Math.max(...all.map(({ ended_at }) => ended_at ?? 0)) : null;
  const href = `/deployments/${first.batch_id ?? ""}`;
  return (
    <div role="row" {...rowOpening(() => go(href))}>
      <Cell>
        <Glyph kind={SERVER_GROUP_GLYPHS[worst]} label={SERVER_GROUP_LABELS[worst]} />
      </Cell>
      <Cell head class="cut medium">
        <a href={href} tabIndex={-1}>
          {deploymentLabel(first)}
        </a>
      </Cell>
      <Cell class="cut">{cut ? t`${servers} or more` : servers}</Cell>
      <Cell class={`anywhere ${worst === "failed" ? "crit" : "t2"}`}>{result}</Cell>
      <Cell class="cut t3">{first.created_by}</Cell>
      <Cell class="t3">
        <Time at={first.created_at}>{timeOrDate(first.created_at, dayStart.value)}</Time>
      </Cell>
      <Cell class="t3 num">{elapsed(first.created_at, ended, now.value)}</Cell>
    </div>
  );
}

export function DeploymentRow({ deployment }: { deployment: DeploymentView }) {
  const at = serverGroupOf(deployment.state);
  const statusText = deploymentStatusText(deployment);
  const worked = workedSeconds(deployment, now.value);
  const open = (): void => openDeployment(deployment);
  return (
    <div role="row" data-state={deployment.state} {...rowOpening(open)}>
      <Cell>
        <Glyph kind={SERVER_GROUP_GLYPHS[at]} label={at === "asks" ? SERVER_GROUP_LABELS.asks : stateLabel(deployment.state)} />
      </Cell>
      <Cell head class="cut medium">
        <button type="button" class="fold" tabIndex={-1} onClick={open}>
          {deploymentLabel(deployment)}
        </button>
      </Cell>
      <Cell class="cut" title={addressText(deployment)}>
        {deployment.name || addressText(deployment)}
      </Cell>
      <Cell class={`anywhere ${at === "failed" ? "crit" : "t2"}`}>{statusText}</Cell>
      <Cell class="cut t3">{deployment.created_by}</Cell>
      <Cell class="t3">
        <Time at={deployment.created_at}>{timeOrDate(deployment.created_at, dayStart.value)}</Time>
      </Cell>
      <Cell class="t3 num">{worked === null ? "—" : deployment.ended_at === null ? age(worked) : duration(worked)}</Cell>
    </div>
  );
}
