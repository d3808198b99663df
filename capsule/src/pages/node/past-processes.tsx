/** The processes that used most CPU and most memory at a time of the last day. */

import { useEffect, useState } from "preact/hooks";
import { localDatetime, parseLocalDatetime, repeatedHourOffset } from "../../core/text/local-datetime";
import { clock, percent, size, t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { chooseMoment, MINUTE_S, minuteOf } from "../../state/moment";
import { loadPastProcesses } from "../../state/queries";
import { ApiError, type PastProcessesView, type ProcessReadingView } from "../../state/types";
import { Button, Failure, Loading, TextField } from "../../ui";
import { FactsTable } from "../../ui/facts-table";

/** A moment is read when the pointer has rested on it this long. */
const REST_MS = 300;

export interface PastProps {
  id: string;
  /** The moment in Unix seconds; its minute is shown. */
  at: number;
  /** Whether the card is among charts, whose cursor sets the moment. */
  wide: boolean;
  /** Whether the address sets the moment. */
  pinned: boolean;
}

export function PastProcesses({ id, at, wide, pinned }: PastProps) {
  const minute = minuteOf(at);
  const [found, setFound] = useState<{ minute: number; view: PastProcessesView } | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let unmounted = false;
    const timer = setTimeout(() => {
      loadPastProcesses(id, minute + MINUTE_S - 1).then(
        (view) => {
          if (unmounted) return;
          setFailure(null);
          setFound({ minute, view });
        },
        (error: unknown) => {
          if (!(error instanceof ApiError)) throw error;
          if (!unmounted) setFailure(error);
        },
      );
    }, REST_MS);
    return () => {
      unmounted = true;
      clearTimeout(timer);
    };
  }, [id, minute, tries]);
  // The last reading stays until the next reading has arrived, so that nothing jumps.
  const shown = found?.minute ?? minute;
  const when = timeOrDate(shown, dayStart.value);
  const picked = localDatetime(minute).slice(0, 16);
  return (
    <section class={`card ${wide ? "two-wide past-processes" : ""}`} aria-label={t`Past processes`}>
      <header>
        <h3>{t`At ${when}`}</h3>
        <span class="end row wrap">
          <Button slim onClick={() => chooseMoment(minute - MINUTE_S)}>{t`−1 min`}</Button>
          <Button slim onClick={() => chooseMoment(minute + MINUTE_S)}>{t`+1 min`}</Button>
          {pinned ? (
            <Button slim kind="primary" onClick={() => chooseMoment(null)}>
              {wide ? t`Follow the charts` : t`Back to now`}
            </Button>
          ) : (
            <Button slim onClick={() => chooseMoment(minute)}>{t`Keep this time`}</Button>
          )}
        </span>
      </header>
      <TextField
        class="facts-search"
        label={t`Time`}
        type="datetime-local"
        hint={repeatedHourOffset(minute)}
        value={picked}
        onText={(text) => pick(text, minute, picked)}
      />
      {failure ? (
        <Failure title={t`This could not be read`} error={failure} onRetry={() => setTries(tries + 1)} />
      ) : !found ? (
        <Loading what={t`the processes`} onRetry={() => setTries(tries + 1)} />
      ) : (
        <Reading minute={shown} when={when} reading={found.view.reading} />
      )}
    </section>
  );
}

function pick(text: string, minute: number, before: string): void {
  const at = text === before ? minute : parseLocalDatetime(text, minute);
  if (Number.isFinite(at) && at >= 0) chooseMoment(at);
}

function Reading({ minute, when, reading }: { minute: number; when: string; reading: ProcessReadingView | null }) {
  if (!reading) return <p class="pad t3">{t`No reading at ${when}. Readings are kept for a day, while the node is connected.`}</p>;
  // A node sends a reading each minute. Because of delays, a minute may have only the reading of the minute before.
  if (reading.taken_at < minute - MINUTE_S) {
    return (
      <p class="pad t3">
        {t`No reading at ${when}. The last one before it is from ${timeOrDate(reading.taken_at, dayStart.value)}.`}{" "}
        <Button slim onClick={() => chooseMoment(reading.taken_at)}>{t`Show it`}</Button>
      </p>
    );
  }
  const rows = Array.from(
    { length: Math.max(reading.by_cpu.length, reading.by_memory.length) },
    (_, row) => [reading.by_cpu[row], reading.by_memory[row]] as const,
  );
  return (
    <FactsTable
      label={t`Past processes, table`}
      caption={t`Read at ${clock(reading.taken_at)}. The busiest processes, and those with the most memory.`}
      heads={[t`Most CPU`, t`User`, t`CPU`, t`Most memory`, t`User`, t`Memory`]}
      numbers={[2, 5]}
    >
      {rows.map(([busy, large], row) => (
        <tr key={row}>
          <td>{busy?.name}</td>
          <td>{busy?.user}</td>
          <td class="num">{busy && percent(busy.cpu, 1)}</td>
          <td>{large?.name}</td>
          <td>{large?.user}</td>
          <td class="num">{large && size(large.memory)}</td>
        </tr>
      ))}
    </FactsTable>
  );
}
