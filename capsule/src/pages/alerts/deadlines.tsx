/** The tab of the deadlines: events that are expected by a time of day, each with a calendar of its days. */

import { useEffect, useRef, useState } from "preact/hooks";
import { selectWords } from "../../core/alerts/rule-text";
import { DAY_STATE_WORDS, dayState, dayWords, deadlineWords, neverReported, nothingYet } from "../../core/alerts/schedule-text";
import { duration, plural, t, timeOrDate } from "../../core/text";
import { deleteExpectation, loadDays, loadExpectations } from "../../state/alert-calls";
import { dayStart, now } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import { ApiError, type DayView, type ExpectationView } from "../../state/types";
import { Button, Empty, Failure, Icon, Loading, MenuButton } from "../../ui";
import { StaleNotice } from "../../ui/stale-notice";
import { FormDialog } from "../form-dialog";
import { ListView } from "../list-view";
import { DeadlineDialog } from "./deadline-dialog";
import { HowToReport } from "./how-to-report";
import { mayManageAlerts } from "./rules";
import { drop, put, useAll } from "./use-all";

/** The calendar is read again this long after a deadline is due, when the hub has judged it. */
const JUDGED_AFTER_S = 30;

type OpenDialog = { kind: "add" } | { kind: "edit" | "delete"; one: ExpectationView };
const MARKS = { met: "✓", late: "!", missed: "×", not_judged: "–", coming: "·" } as const;
const NODE_WORDS = {
  met: t`met`,
  arrived_late: t`met, reported late`,
  late: t`late`,
  missed: t`missed`,
  not_judged: t`not judged`,
} as const;

export function DeadlinesTab() {
  const list = useAll(loadExpectations);
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const close = (): void => setOpenDialog(null);
  const manages = mayManageAlerts();
  const add = manages && (
    <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "add" })}>
      {t`Add deadline`}
    </Button>
  );
  return (
    <div class="stack">
      <div class="section-head">
        <p class="t3 meta grow">{t`A deadline is a time of day by which each server must report an event, such as a finished backup. If the event does not come in time, an alert fires.`}</p>
        {list.items && list.items.length > 0 && add}
      </div>
      <ListView
        list={list}
        what={t`the deadlines`}
        refused={t`Your role cannot see deadlines.`}
        empty={
          <>
            <Empty
              icon="calendar-clock"
              title={t`No deadlines`}
              text={t`A deadline alerts you when an expected event, such as a backup, does not come.`}
            >
              {add || undefined}
            </Empty>
            <section class="card deadline" aria-label={t`How a server reports an event`}>
              <HowToReport />
            </section>
          </>
        }
      >
        {(items) => (
          <div class="stack">
            {items.map((one) => (
              <Deadline key={one.id} one={one} manages={manages} onAsk={(kind) => setOpenDialog({ kind, one })} />
            ))}
          </div>
        )}
      </ListView>
      {openDialog?.kind === "add" && <DeadlineDialog onClose={close} onSaved={(saved) => put(list, saved)} />}
      {openDialog?.kind === "edit" && <DeadlineDialog deadline={openDialog.one} onClose={close} onSaved={(saved) => put(list, saved)} />}
      {openDialog?.kind === "delete" && (
        <DeleteDeadline one={openDialog.one} onClose={close} onDone={() => drop(list, openDialog.one.id)} />
      )}
    </div>
  );
}

function Deadline({ one, manages, onAsk }: { one: ExpectationView; manages: boolean; onAsk: (kind: "edit" | "delete") => void }) {
  return (
    <section class="card deadline" aria-label={one.name}>
      <header>
        <h2 class="cut">{one.name}</h2>
        <span class={`pill small ${one.severity === "critical" ? "crit" : "warn"}`}>
          {one.severity === "critical" ? t`critical` : t`warning`}
        </span>
        <span class="grow" />
        {manages && (
          <MenuButton
            label={t`Actions for ${one.name}`}
            class="quiet slim only-icon"
            groups={[
              [{ label: t`Edit…`, icon: "settings", run: () => onAsk("edit") }],
              [{ label: t`Delete…`, icon: "trash-2", danger: true, run: () => onAsk("delete") }],
            ]}
          >
            <Icon name="ellipsis" size="small" />
          </MenuButton>
        )}
      </header>
      <p class="t3 meta anywhere">
        {deadlineWords(one)} · {selectWords(one.select, nodeLabel)}
      </p>
      <Calendar one={one} />
    </section>
  );
}

function Calendar({ one }: { one: ExpectationView }) {
  const [days, setDays] = useState<readonly DayView[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [open, setOpen] = useState("");
  const newest = useRef(0);
  const load = async (): Promise<void> => {
    const turn = (newest.current += 1);
    try {
      const found = await loadDays(one.id);
      if (turn !== newest.current) return;
      setDays([...found].reverse());
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn === newest.current) setFailure(error);
    }
  };
  const due = days?.filter(({ due_at }) => due_at + JUDGED_AFTER_S <= now.value).length;
  useEffect(() => void load(), [JSON.stringify(one), dayStart.value, due]);
  if (failure && !days) return <Failure title={t`The days could not be read`} error={failure} onRetry={() => void load()} />;
  if (!days) return <Loading rows={1} what={t`the days`} onRetry={() => void load()} />;
  if (nothingYet(days))
    return (
      <>
        <StaleNotice failure={failure} onRetry={() => void load()} />
        <p class="t2">{t`No server has reported this yet, and no day has been judged. Its days are shown once there is one.`}</p>
        <HowToReport event={one.event} open />
      </>
    );
  const never = neverReported(days);
  const chosen = days.find(({ date }) => date === open);
  const more = chosen ? chosen.missed + chosen.late + chosen.arrived_late - chosen.nodes.length : 0;
  return (
    <div class="stack">
      <StaleNotice failure={failure} onRetry={() => void load()} />
      <ol class="days" aria-label={t`Days of ${one.name}`}>
        {days.map((day) => {
          const state = dayState(day, now.value);
          return (
            <li key={day.date}>
              <button
                type="button"
                class={`day ${state}`}
                aria-label={dayWords(day, now.value)}
                title={dayWords(day, now.value)}
                aria-pressed={open === day.date}
                onClick={() => setOpen(open === day.date ? "" : day.date)}
              >
                <span aria-hidden="true">{day.date.slice(8)}</span>
                <b aria-hidden="true">{MARKS[state]}</b>
              </button>
            </li>
          );
        })}
      </ol>
      <p class="row wrap t3 meta days-legend">
        {(["met", "late", "missed", "not_judged"] as const).map((state) => (
          <span key={state}>
            <b aria-hidden="true">{MARKS[state]}</b> {DAY_STATE_WORDS[state]}
          </span>
        ))}
      </p>
      <HowToReport event={one.event} open={never > 0} />
      {never > 0 && <p class="warn meta">{t`In these days none of ${plural(never, "server")} has reported this.`}</p>}
      {chosen && (
        <div class="meta">
          <p class="t2">{dayWords(chosen, now.value)}</p>
          <ul>
            {chosen.nodes.map((node) => (
              <li key={node.node_id}>
                <a class="accent" href={`/n/${node.node_id}/events`}>
                  {nodeLabel(node.node_id)}
                </a>{" "}
                {NODE_WORDS[node.state]}
                {node.at !== null && ` · ${timeOrDate(node.at, dayStart.value)}`}
                {node.late_s !== null && node.late_s > 0 && ` · ${t`${duration(node.late_s)} late`}`}
              </li>
            ))}
            {more > 0 && <li class="t3">{t`and ${more} more`}</li>}
          </ul>
        </div>
      )}
    </div>
  );
}

function DeleteDeadline({ one, onClose, onDone }: { one: ExpectationView; onClose: () => void; onDone: () => void }) {
  return (
    <FormDialog
      title={t`Delete ${one.name}`}
      icon="trash-2"
      size="narrow"
      submit={t`Delete deadline`}
      kind="destroy"
      onSave={async () => {
        await deleteExpectation(one.id);
        onDone();
      }}
      done={[t`${one.name} was deleted`]}
      onClose={onClose}
    >
      <p>{t`Nobody is notified any more when this event does not come. Its calendar is lost.`}</p>
    </FormDialog>
  );
}
