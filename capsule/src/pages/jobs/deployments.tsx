import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Page } from "../../core/paged";
import { t } from "../../core/say";
import { placeText, standing, STANDING_WORDS } from "../../core/servers";
import { deploymentStanding, deploymentWord } from "../../core/steps";
import { moment, took } from "../../core/time";
import { stateWord } from "../../core/words";
import { now } from "../../state/clock";
import { deploymentEnded, follow, load as readNewest, newestDeployment, openDeployment, turns } from "../../state/deployments";
import { findDeployments } from "../../state/lists";
import { today } from "../../state/today";
import type { DeploymentView } from "../../state/types";
import { Glyph } from "../../ui/glyph";
import { GridHead } from "../../ui/grid-head";
import { MaybeOld } from "../../ui/maybe-old";
import { Empty, Failure, Loading, Time } from "../../ui/parts";
import { ShowMore } from "../../ui/show-more";
import { STANDING_MARKS } from "../add/servers";
import { useFollowed } from "../many/followed";
import { usePaged } from "../paged";

const EVERY_MS = 4000;
const NEWEST = 50;

/** Servers that were added, removed or given a new agent, the newest first; each opens what it did, and how to go on where it failed. */
export function Deployments(): VNode {
  const { list, found, failure } = usePaged<DeploymentView, Page<DeploymentView>>(
    async (cursor) => {
      const { deployments, next } = await findDeployments(cursor);
      return { items: deployments, next };
    },
    (one) => one.id,
    [],
  );
  const load = (): void => void list.refresh();
  useEffect(load, [list, turns.value]);
  // What others begin is not told live: it is asked for while the list is seen.
  useFollowed("", EVERY_MS, () => readNewest(NEWEST), () => true);
  useEffect(() => found?.items.forEach((one) => deploymentEnded(one) || follow(one)), [found]);
  if (failure && !found) return <Failure title={t`The deployments could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={8} what={t`the deployments`} onRetry={load} />;
  if (!found.items.length) return <Empty icon="server" title={t`No deployments yet`} text={t`Every server added, updated or removed is listed here, with each step.`} />;
  return (
    <>
      <MaybeOld failure={failure} onRetry={load} />
      <div class="card grid-table jobs-table deployments-table" role="table" aria-label={t`Deployments`} aria-rowcount={found.items.length + 1}>
        <GridHead labels={[t`State`, t`What`, t`Server`, t`Outcome`, t`By`, t`Started`, t`Took`]} unseen={[t`State`]} />
        {found.items.map((one) => (
          <Row key={one.id} one={newestDeployment(one)} />
        ))}
      </div>
      <ShowMore more={found.next !== null} onMore={() => void list.more()} />
    </>
  );
}

function Row({ one }: { one: DeploymentView }): VNode {
  const at = standing(one.state);
  const said = deploymentStanding(one);
  const open = (): void => openDeployment(one);
  return (
    <div role="row" tabIndex={0} data-state={one.state} onClick={open} onKeyDown={(event) => event.key === "Enter" && open()}>
      <span role="cell">
        <Glyph kind={STANDING_MARKS[at]} label={at === "asks" ? STANDING_WORDS.asks : stateWord(one.state)} />
      </span>
      <span role="rowheader" class="cut medium">
        <button type="button" class="fold" tabIndex={-1}>
          {deploymentWord(one)}
        </button>
      </span>
      <span role="cell" class="cut" title={placeText(one)}>
        {one.name || placeText(one)}
      </span>
      <span role="cell" class={`cut ${at === "failed" ? "crit" : "t2"}`} title={said}>
        {said}
      </span>
      <span role="cell" class="cut t3">
        {one.created_by}
      </span>
      <span role="cell" class="t3">
        <Time at={one.created_at}>{moment(one.created_at, today.value)}</Time>
      </span>
      <span role="cell" class="t3 num">
        {took(one.steps[0]?.started_at ?? one.created_at, one.ended_at, now.value)}
      </span>
    </div>
  );
}
