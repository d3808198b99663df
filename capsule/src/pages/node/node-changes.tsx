/** What changed on a node: of the last day, or of the ten minutes before a moment, the nearest first. */

import { useState } from "preact/hooks";
import { CHANGE_KINDS, changeWords } from "../../core/nodes/changes";
import { localDatetime, parseLocalDatetime, repeatedHourOffset } from "../../core/text/local-datetime";
import { clock, size, t, timeOrDate } from "../../core/text";
import { dayStart, hubNow } from "../../state/clock";
import { chooseMoment, chosenMoment, minuteOf } from "../../state/moment";
import { loadChanges } from "../../state/queries";
import { pageUrl, setQuery } from "../../state/router";
import type { NodeChangeView, NodeChangesView } from "../../state/types";
import { Button, Empty, Failure, Loading, TextField } from "../../ui";
import { SelectField } from "../../ui/form";
import { GridHead, Cell } from "../../ui/grid-head";
import { Time } from "../../ui/time";
import { useAnswer } from "../use-answer";
import { NodeReboots } from "./node-reboots";

const METRICS: [string, string][] = [
  ["", t`anything`],
  ["cpu.total", t`CPU`],
  ["memory.used", t`memory`],
];
const KINDS: [string, string][] = [["", t`every kind`], ...Object.entries(CHANGE_KINDS)];

export function NodeChanges({ id }: { id: string }) {
  const at = chosenMoment();
  const asked = pageUrl.value.query.get("metric") ?? "";
  const metric = asked.startsWith("cpu") ? "cpu.total" : asked.startsWith("memory") ? "memory.used" : "";
  const [kind, setKind] = useState("");
  const [turn, setTurn] = useState(0);
  const { found, failure, load } = useAnswer(() => loadChanges(id, { at, metric, kind }), [id, at, metric, kind]);
  const picked = localDatetime(at ?? minuteOf(hubNow())).slice(0, 16);
  return (
    <section class="stack" aria-label={t`Changes`}>
      <div class="fields-row">
        <TextField
          label={t`Before when?`}
          type="datetime-local"
          hint={at === null ? undefined : repeatedHourOffset(at)}
          value={at === null ? "" : picked}
          onText={(text) => {
            const moment = parseLocalDatetime(text, at ?? hubNow());
            if (Number.isFinite(moment) && moment >= 0) chooseMoment(moment);
          }}
        />
        {at !== null && (
          <SelectField label={t`What rose`} value={metric} onPick={(next) => setQuery({ metric: next || null })} options={METRICS} />
        )}
        <SelectField label={t`Kind`} value={kind} onPick={setKind} options={KINDS} />
        {at !== null && (
          <Button
            onClick={() => {
              setQuery({ metric: null });
              chooseMoment(null);
            }}
          >{t`Back to the last day`}</Button>
        )}
        <Button
          icon="refresh-cw"
          onClick={() => {
            load();
            setTurn(turn + 1);
          }}
        >{t`Read again`}</Button>
      </div>
      {at !== null && (
        <p class="t3 meta">
          {t`What happened in the ten minutes before ${timeOrDate(at, dayStart.value)}, the nearest first. That it happened before does not mean that it was the cause.`}
        </p>
      )}
      {at === null && <NodeReboots id={id} turn={turn} />}
      {failure && !found ? (
        <Failure title={t`The changes could not be read`} error={failure} onRetry={load} />
      ) : !found ? (
        <Loading what={t`the changes`} onRetry={load} />
      ) : (
        <>
          {failure && (
            <p class="wrong" role="alert">
              {failure.detail}
            </p>
          )}
          {at !== null && metric && <Risen found={found} metric={metric} />}
          <List changes={found.changes} ranked={at !== null} />
        </>
      )}
    </section>
  );
}

function Risen({ found, metric }: { found: NodeChangesView; metric: string }) {
  if (!found.risen)
    return <p class="meta">{t`Which processes rose is not known: readings are kept for a day, while the server is connected.`}</p>;
  if (!found.risen.length) return <p class="meta">{t`No process used more than ten minutes before.`}</p>;
  const words = found.risen.map(({ name, amount }) =>
    metric.startsWith("cpu") ? t`${name} +${amount.toFixed(0)} % of a core` : t`${name} +${size(amount)}`,
  );
  return <p class="meta">{t`Rose most: ${words.join(", ")}.`}</p>;
}

function List({ changes, ranked }: { changes: readonly NodeChangeView[]; ranked: boolean }) {
  if (!changes.length) {
    return (
      <Empty
        icon="scroll-text"
        title={ranked ? t`Nothing is known to have changed` : t`No changes in the last day`}
        text={t`Packages, failed and restarted units, boots, file systems that became read-only, TCP ports, the agent, its policy, jobs, alerts and roll-outs stand here.`}
      />
    );
  }
  return (
    <div class="card grid-table changes-table" role="table" aria-label={t`Changes`}>
      <GridHead labels={[t`Time`, t`Kind`, t`What`, t`By`]} />
      {changes.map((one, index) => (
        <div role="row" key={`${one.at} ${one.kind} ${one.object} ${index}`}>
          <Cell class="t3">
            <Time at={one.at}>
              {timeOrDate(one.at, dayStart.value) === clock(one.at, false) ? clock(one.at) : timeOrDate(one.at, dayStart.value)}
            </Time>
          </Cell>
          <Cell class="t2">{CHANGE_KINDS[one.kind]}</Cell>
          <Cell class="anywhere">
            {changeWords(one)}
            {one.why && <span class="t3"> · {one.why}</span>}
          </Cell>
          <Cell class="cut t3">
            {one.job_id ? (
              <a href={`/jobs/${one.job_id}`}>{one.source === "event" ? t`job` : one.source}</a>
            ) : one.source === "event" ? (
              ""
            ) : (
              one.source
            )}
          </Cell>
        </div>
      ))}
    </div>
  );
}
