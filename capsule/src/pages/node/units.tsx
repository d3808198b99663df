/** The units of systemd of a node: a table, what may be done with each, and the last lines of its journal. */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { actionLabel } from "../../core/jobs/job-labels";
import { formatValue } from "../../core/metrics/metric-list";
import { hasFailed, isDown, unitRows, unitVerbs, type UnitRow } from "../../core/nodes/units";
import { t } from "../../core/text/i18n";
import { clock, date, sameDay, timeOrDate } from "../../core/text/time";
import { count, plural, UNKNOWN } from "../../core/text/units";
import { dayStart } from "../../state/clock";
import { newIdempotencyKey, submitJob } from "../../state/job-detail";
import type { NodeDetail } from "../../state/node-detail";
import { readUnitJournal } from "../../state/queries";
import { mayAct } from "../../state/session";
import { ApiError, type JobBody, type NodeView, type TableView, type UnitJournalView } from "../../state/types";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Dialog, Foot } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Glyph, type GlyphKind } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Failure, Loading } from "../../ui/load-states";
import { MenuButton } from "../../ui/menu";
import { Time } from "../../ui/time";
import { startJob } from "../jobs/submit/start-job";

const WORDS: Readonly<Record<string, string>> = { "unit-start": t`Start`, "unit-stop": t`Stop`, "unit-restart": t`Restart`, "unit-reload": t`Reload` };
const ASKED = new Set(["unit-stop", "unit-restart"]);
const ERROR = 3;
const WARNING = 4;

type Asked = { row: UnitRow; verb: string } | { row: UnitRow; verb: null };

export interface UnitsProps {
  detail: NodeDetail;
  view: NodeView;
  table: TableView;
}

export function Units({ detail, view, table }: UnitsProps): VNode {
  const [words, setWords] = useState("");
  const [asked, setAsked] = useState<Asked | null>(null);
  const rows = unitRows(table, detail.tables.value?.services, view.latest);
  const wanted = words.toLowerCase().trim();
  const shown = wanted ? rows.filter((row) => `${row.name} ${row.description} ${row.state}`.toLowerCase().includes(wanted)) : rows;
  const acts = mayAct.value && view.state === "online";
  const journal = acts && view.policy !== null && view.policy.journal !== "off";
  const close = (): void => setAsked(null);
  return (
    <section class="card" aria-label={t`Units`}>
      <header>
        <h3>{t`Units`}</h3>
        <span class="t3 meta">
          {table.total !== null && table.total > rows.length ? t`${count(rows.length)} of ${count(table.total)}` : plural(rows.length, "unit")},{" "}
          <Time at={table.taken_at}>{timeOrDate(table.taken_at, dayStart.value)}</Time>
        </span>
      </header>
      {acts && <Allowed view={view} />}
      <TextField class="facts-search" label={t`Search in units`} value={words} onText={setWords} type="search" input={{ placeholder: t`Search`, spellcheck: false }} />
      {table.total === null ? (
        <p class="pad t3">{t`Spider could not read this.`}</p>
      ) : !shown.length ? (
        <p class="pad t3">{wanted ? t`Nothing matches the search.` : t`No unit is loaded.`}</p>
      ) : (
        <div class="facts-scroll" role="region" aria-label={t`Units, table`} tabIndex={0}>
          <table class="facts-table">
            <thead>
              <tr>
                <th scope="col">{t`Unit`}</th>
                <th scope="col">{t`State`}</th>
                <th scope="col">{t`Since`}</th>
                <th scope="col" class="num">{t`Restarts`}</th>
                <th scope="col" class="num">{t`CPU`}</th>
                <th scope="col" class="num">{t`Memory`}</th>
                {acts && (
                  <th scope="col">
                    <span class="hidden-text">{t`Actions`}</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <tr key={row.name}>
                  <td title={row.description}>{row.name}</td>
                  <td>
                    <Glyph kind={markOf(row)} label="" /> {row.state}
                    {row.result && row.result !== "success" && <span class="t3"> ({row.result})</span>}
                  </td>
                  <td>{row.since === null ? UNKNOWN : <Time at={row.since}>{timeOrDate(row.since, dayStart.value)}</Time>}</td>
                  <td class="num">{row.restarts ?? UNKNOWN}</td>
                  <td class="num">{row.cpu === null ? UNKNOWN : formatValue(row.cpu, "percent")}</td>
                  <td class="num">{row.memory === null ? UNKNOWN : formatValue(row.memory, "bytes")}</td>
                  {acts && (
                    <td>
                      <Actions row={row} view={view} journal={journal} onAsk={setAsked} />
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {asked?.verb && <Confirm view={view} row={asked.row} verb={asked.verb} onClose={close} />}
      {asked && !asked.verb && <UnitJournal view={view} unit={asked.row.name} onClose={close} />}
    </section>
  );
}

const markOf = (row: UnitRow): GlyphKind => (hasFailed(row) ? "fail" : isDown(row) ? "off" : "ok");

/** How the owner allows what is not allowed here. */
function Allowed({ view }: { view: NodeView }): VNode | null {
  const policy = view.policy;
  if (!policy || (policy.units.length && policy.journal !== "off")) return null;
  return (
    <p class="pad t3 meta">
      {!policy.units.length && t`The owner of this server names the units that may be started, stopped, restarted and reloaded here, in its policy.conf (mode = managed, version = 2): units = nginx.service, php*.`}{" "}
      {policy.journal === "off" && t`With journal = warning there, the last lines of a unit are shown here.`}
    </p>
  );
}

function Actions({ row, view, journal, onAsk }: { row: UnitRow; view: NodeView; journal: boolean; onAsk: (asked: Asked) => void }): VNode | null {
  const verbs = unitVerbs(row, view.policy);
  if (!verbs.length && !journal) return null;
  const items = verbs.map((verb) => {
    const word = WORDS[verb] ?? verb;
    return { label: ASKED.has(verb) ? t`${word}…` : word, danger: verb === "unit-stop", run: () => (ASKED.has(verb) ? onAsk({ row, verb }) : void send(view, row.name, verb)) };
  });
  return (
    <MenuButton class="slim quiet" label={t`Actions for ${row.name}`} groups={[items, journal ? [{ label: t`Last 200 lines`, run: () => onAsk({ row, verb: null }) }] : []]}>
      <Icon name="chevron-down" size="small" />
    </MenuButton>
  );
}

function send(view: NodeView, unit: string, verb: string): Promise<void> {
  const key = newIdempotencyKey();
  return startJob(`${actionLabel(verb)}: ${unit}, ${view.name}`, () => submitJob(view.id, { action: verb as JobBody["action"], units: [unit] }, key));
}

function Confirm({ view, row, verb, onClose }: { view: NodeView; row: UnitRow; verb: string; onClose: () => void }): VNode {
  const word = WORDS[verb] ?? verb;
  const start = (): void => {
    onClose();
    void send(view, row.name, verb);
  };
  return (
    <Dialog title={`${word} ${row.name}`} subtitle={view.name} size="narrow" onClose={onClose}>
      <p class="pad">
        {verb === "unit-stop"
          ? t`${row.name} is stopped on ${view.name}. What it serves is unavailable until it is started again. A socket, a timer or another unit may start it by itself.`
          : t`${row.name} is stopped and started again on ${view.name}. Connections to it may end, and what it serves is unavailable for a moment. If it does not start, the job says so.`}
      </p>
      <Foot onClose={onClose} focused>
        <Button kind={verb === "unit-stop" ? "danger" : "primary"} onClick={start}>
          {word}
        </Button>
      </Foot>
    </Dialog>
  );
}

/** The last lines of a unit, read on the server when this opens. */
function UnitJournal({ view, unit, onClose }: { view: NodeView; unit: string; onClose: () => void }): VNode {
  const [found, setFound] = useState<UnitJournalView | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const gone = useRef(false);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => () => void (gone.current = true), []);
  const load = async (): Promise<void> => {
    setBusy(true);
    try {
      const read = await readUnitJournal(view.id, unit);
      if (gone.current) return;
      setFound(read);
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!gone.current) setFailure(error);
    } finally {
      if (!gone.current) setBusy(false);
    }
  };
  useEffect(() => void load(), [unit]);
  // The newest line is last.
  useEffect(() => end.current?.scrollTo({ top: end.current.scrollHeight }), [found]);
  const stamp = (at: number): string => (sameDay(at, dayStart.value) ? "" : `${date(at, dayStart.value)}, `) + clock(at);
  return (
    <Dialog title={t`Last lines of ${unit}`} subtitle={view.name} size="wide" onClose={onClose}>
      {failure ? (
        <Failure title={t`The journal could not be read`} error={failure} onRetry={() => void load()} />
      ) : !found ? (
        <Loading what={t`the journal`} onRetry={() => void load()} />
      ) : (
        <>
          <p class="pad t3 meta">
            {found.lines.length ? plural(found.lines.length, "line") : t`The journal has no line of this unit.`}
            {found.level === "warning" && ` ${t`The owner of this server shows warnings and worse only.`}`}
            {found.left_out > 0 && ` ${t`${plural(found.left_out, "older line")} did not fit.`}`} {t`Read just now, and stored nowhere.`}
          </p>
          <div class="facts-scroll unit-lines mono" role="log" aria-label={t`Lines of ${unit}`} tabIndex={0} ref={end}>
            {found.lines.map((line, index) => (
              <div key={index} class={line.priority <= ERROR ? "crit" : line.priority === WARNING ? "warn" : ""}>
                <span class="t3">{stamp(line.at)}</span> {line.text}
              </div>
            ))}
          </div>
        </>
      )}
      <Foot onClose={onClose} out={t`Close`}>
        {found && <CopyButton text={() => found.lines.map((line) => `${stamp(line.at)} ${line.text}`).join("\n")} />}
        <Button icon="refresh-cw" busy={busy} onClick={() => void load()}>
          {t`Read again`}
        </Button>
      </Foot>
    </Dialog>
  );
}
