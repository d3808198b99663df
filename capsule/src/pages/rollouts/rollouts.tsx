/** The pages of patching beside the list of updates: roll-outs, patch policies, calendar and patch status. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { countsWords, stateWords } from "../../core/rollouts/rollout-text";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { followRollouts } from "../../state/rollouts";
import { mayAct } from "../../state/session";
import type { ApiError, RolloutView } from "../../state/types";
import { Empty, Failure, Loading } from "../../ui";
import { StaleNotice } from "../../ui/stale-notice";
import { RoleRefusal } from "../list-view";
import { CalendarTab } from "./calendar";
import { PatchingTabs } from "./patching-tabs";
import { PoliciesTab } from "./policies";
import { RolloutGlyph } from "./rollout-parts";
import { StatusTab } from "./status";

export function RolloutsPage({ tab }: { tab: string }): VNode {
  const current = tab === "policies" || tab === "calendar" || tab === "status" ? tab : "rollouts";
  return (
    <div class="page">
      <div class="page-head wrap">
        <h1 tabIndex={-1}>{t`Patching`}</h1>
      </div>
      <PatchingTabs tab={current} />
      <div id="panel" role="tabpanel" aria-label={t`Patching`}>
        {current === "policies" ? (
          <PoliciesTab />
        ) : current === "calendar" ? (
          <CalendarTab />
        ) : current === "status" ? (
          <StatusTab />
        ) : (
          <List />
        )}
      </div>
    </div>
  );
}

function List(): VNode {
  const [rollouts, setRollouts] = useState<readonly RolloutView[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(
    () =>
      followRollouts({
        change: (views) => {
          setRollouts(views);
          setFailure(null);
        },
        refused: setFailure,
      }),
    [turn],
  );
  const again = (): void => setTurn(turn + 1);
  if (failure?.status === 403) return <RoleRefusal what={t`Your role cannot see roll-outs.`} />;
  if (failure && !rollouts) return <Failure title={t`The roll-outs could not be read`} error={failure} onRetry={again} />;
  if (!rollouts) return <Loading what={t`the roll-outs`} onRetry={again} />;
  return (
    <div class="stack">
      <StaleNotice failure={failure} onRetry={again} />
      {rollouts.length ? (
        <ul class="card rows-card" aria-label={t`Roll-outs`}>
          {rollouts.map((one) => (
            <Row key={one.id} one={one} />
          ))}
        </ul>
      ) : (
        <Empty
          icon="layout-grid"
          title={t`No roll-out yet`}
          text={t`A roll-out upgrades a few servers first, watches them, and goes on only if they stay well. A patch policy makes one at each of its times.`}
        >
          {mayAct.value && (
            <a class="button primary" href="/patch-policies/new">
              {t`Make a patch policy`}
            </a>
          )}
        </Empty>
      )}
    </div>
  );
}

const Row = ({ one }: { one: RolloutView }): VNode => (
  <li>
    <RolloutGlyph one={one} />
    <div class="grow">
      <p>
        <a class="medium" href={`/rollout/${one.id}`}>
          {one.name}
        </a>{" "}
        <span class="t3">{stateWords(one)}</span>
      </p>
      <p class="meta t3">{one.words || countsWords(one.targets)}</p>
    </div>
    <span class="meta t3">{timeOrDate(one.ended_at ?? one.started_at ?? one.made_at, dayStart.value)}</span>
  </li>
);
