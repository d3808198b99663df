/** The patch status for the person who answers to an auditor. */

import type { VNode } from "preact";
import { date, plural, t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { loadPatchStatus, patchStatusCsv } from "../../state/rollouts";
import type { PatchStatusView } from "../../state/types";
import { Empty, Failure, Glyph, type GlyphKind, Loading } from "../../ui";
import { Cell, GridHead } from "../../ui/grid-head";
import { StaleNotice } from "../../ui/stale-notice";
import { RoleRefusal } from "../list-view";
import { useAnswer } from "../use-answer";

type StatusNode = PatchStatusView["nodes"][number];

const IN_TIME: Record<StatusNode["in_time"], [GlyphKind, string]> = {
  in_time: ["ok", t`in time`],
  late: ["crit", t`late`],
  unknown: ["stale", t`not known`],
};

/** A release whose support ends within so many days is marked. */
const SOON_DAYS = 180;

export function StatusTab(): VNode {
  const { found, failure, load } = useAnswer(loadPatchStatus);
  if (failure?.status === 403) return <RoleRefusal what={t`Your role cannot see the patch status.`} />;
  if (failure && !found) return <Failure title={t`The patch status could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading what={t`the patch status`} onRetry={load} />;
  if (!found.nodes.length) return <Empty icon="server" title={t`No servers yet`} text={t`The patch status has a row for each server.`} />;
  const { in_time, late, unknown } = found.total;
  return (
    <div class="stack">
      <StaleNotice failure={failure} onRetry={load} />
      <div class="section-head">
        <p class="grow">
          <b>{in_time + late > 0 ? t`${in_time} of ${in_time + late} in time` : t`Nothing is known yet`}</b>{" "}
          <span class="t3">{unknown > 0 && t`${plural(unknown, "server")} not known, not counted`}</span>
        </p>
        <a class="button end" href={patchStatusCsv()} download="patch-status.csv">
          {t`Save as CSV`}
        </a>
      </div>
      <div class="card grid-table status-table" role="table" aria-label={t`Patch status`}>
        <GridHead labels={[t`Server`, t`Promise`, t`Security updates`, t`Last patched`, t`Next`, t`Notes`]} />
        {found.nodes.map((one) => (
          <Row key={one.node_id} one={one} />
        ))}
      </div>
      <Support found={found} />
    </div>
  );
}

function Support({ found }: { found: PatchStatusView }): VNode {
  const left = (days: number | null): VNode | string => {
    if (days === null) return t`not known`;
    const [kind, words]: [GlyphKind, string] =
      days < 0 ? ["crit", t`ended`] : days < SOON_DAYS ? ["warn", t`${plural(days, "day")} left`] : ["ok", t`${plural(days, "day")} left`];
    return (
      <span class="row">
        <Glyph kind={kind} label="" />
        <span class="cut">{words}</span>
      </span>
    );
  };
  return (
    <section class="stack" aria-labelledby="support">
      <h2 id="support">{t`End of support`}</h2>
      <p class="t3 meta">{t`Security updates for everybody, without contracts. The dates are those that the distributions had published on ${found.support_as_of}.`}</p>
      <div class="card grid-table support-table" role="table" aria-label={t`End of support`}>
        <GridHead labels={[t`Release`, t`Servers`, t`Supported until`, t`Left`]} />
        {found.support.map(({ os_id, os_version, nodes, supported_until: until, left_days }) => (
          <div role="row" key={`${os_id} ${os_version}`}>
            <Cell head class="cut medium">
              {`${os_id} ${os_version}`.trim() || t`not known`}
            </Cell>
            <Cell data-label={t`Servers`}>{nodes.length}</Cell>
            <Cell data-label={t`Supported until`}>{until ?? t`not known`}</Cell>
            <Cell data-label={t`Left`}>{left(left_days)}</Cell>
          </div>
        ))}
      </div>
    </section>
  );
}

function Row({ one }: { one: StatusNode }): VNode {
  const [glyph, words] = IN_TIME[one.in_time];
  const notes = [
    one.held,
    one.kept_back,
    one.reboot_due_since_at !== null ? t`reboot due since ${date(one.reboot_due_since_at, dayStart.value)}` : "",
    one.other_patcher ? t`also patched by ${one.other_patcher}` : "",
    one.supported_until ? t`supported until ${one.supported_until}` : "",
    one.policies.length === 0 ? t`under no patch policy` : "",
    one.no_date_why ? t`no next date: ${one.no_date_why}` : "",
  ].filter(Boolean);
  return (
    <div role="row">
      <Cell head class="cut medium">
        <a href={`/n/${one.node_id}`}>{one.name}</a>
      </Cell>
      <Cell data-label={t`Promise`}>
        <span class="row">
          <Glyph kind={glyph} label="" />
          <span class="cut">{one.promise_days === null ? words : t`${words}, of ${plural(one.promise_days, "day")}`}</span>
        </span>
      </Cell>
      <Cell data-label={t`Security updates`}>
        {one.security_waiting === null
          ? t`not known`
          : one.security_waiting === 0
            ? t`none`
            : one.age_days === null || one.age_days < 1
              ? one.security_waiting
              : t`${one.security_waiting}, the oldest for ${plural(Math.floor(one.age_days), "day")}`}
      </Cell>
      <Cell data-label={t`Last patched`} class="t2">
        {one.last_patched_at === null ? t`not known` : timeOrDate(one.last_patched_at, dayStart.value)}
      </Cell>
      <Cell data-label={t`Next`} class="t2">
        {one.next_at === null ? "–" : timeOrDate(one.next_at, dayStart.value)}
      </Cell>
      <Cell class="t3 anywhere">{notes.join(" · ")}</Cell>
    </div>
  );
}
