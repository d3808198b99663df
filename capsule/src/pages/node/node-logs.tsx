/** The lines of a node's system log, the newest first. The owner of the node must enable them. */

import { useEffect, useState } from "preact/hooks";
import { clock, date, plural, sameDay, t, tElements } from "../../core/text";
import { dayStart } from "../../state/clock";
import { loadLogs } from "../../state/queries";
import { ApiError, type LogLineView } from "../../state/types";
import { Button, Empty, Failure, Glyph, type GlyphKind, Loading } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { GridHead, Cell } from "../../ui/grid-head";
import { ShowMore } from "../../ui/show-more";
import { Time } from "../../ui/time";

const LEVELS = [t`emergency`, t`alert`, t`critical`, t`error`, t`warning`, t`notice`, t`info`, t`debug`];
const ERROR = 3;
const WARNING = 4;
const LOGS_CONFIG = "[logs]\njournal = warning\n";

const markOf = (priority: number): GlyphKind =>
  priority < ERROR ? "crit" : priority === ERROR ? "fail" : priority === WARNING ? "warn" : "wait";

export function NodeLogs({ id }: { id: string }) {
  const [lines, setLines] = useState<readonly LogLineView[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const load = async (cursor?: string): Promise<void> => {
    setBusy(true);
    try {
      const page = await loadLogs(id, cursor);
      setLines((before) => (cursor ? [...(before ?? []), ...page.lines] : page.lines));
      setNext(page.next);
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => void load(), [id]);
  if (failure && !lines) return <Failure title={t`The logs could not be read`} error={failure} onRetry={() => void load()} />;
  if (!lines) return <Loading what={t`the logs`} onRetry={() => void load()} />;
  const again = (
    <Button slim icon="refresh-cw" busy={busy} onClick={() => void load()}>
      {t`Read again`}
    </Button>
  );
  if (!lines.length) {
    return (
      <Empty
        icon="scroll-text"
        title={t`No log lines`}
        text={
          <>
            {t`A server sends its system log only if its owner turns this on. Put this into /etc/stardust/spider.conf on the server, then run “systemctl restart stardust-spider”. From then on, lines of at least this urgency are sent. This needs systemd: a server with OpenRC sends none.`}
            <br />
            {tElements`The last lines of a single service are shown in ${(
              <a class="accent" href={`/n/${id}/services`}>
                {t`Services`}
              </a>
            )}, as far as the policy allows. ${(
              <a class="accent" href="/settings/policies">
                {t`Settings, Policies`}
              </a>
            )} shows what each server allows, and changes it.`}
          </>
        }
      >
        <div class="code">
          <code>
            [logs]
            <br />
            journal = warning
          </code>
          <CopyButton name={t`Copy`} text={() => LOGS_CONFIG} />
        </div>
        {again}
      </Empty>
    );
  }
  return (
    <div class="stack">
      <div class="section-head">
        <p class="t3 meta grow">{t`Newest first, by the server’s clock.`}</p>
        {again}
      </div>
      {failure && (
        <p class="wrong" role="alert">
          {failure.detail}
        </p>
      )}
      <div class="card grid-table events-table" role="table" aria-label={t`Log`}>
        <GridHead labels={[t`Urgency`, t`Line`, t`Source`, t`Level`, t`Time`]} unseen={[t`Urgency`]} />
        {lines.map((line, index) => (
          <Line key={`${line.at}-${lines.length - index}`} line={line} />
        ))}
      </div>
      <ShowMore more={next !== null} onMore={() => void load(next ?? undefined)} />
    </div>
  );
}

function Line({ line }: { line: LogLineView }) {
  const level = LEVELS[line.priority] ?? String(line.priority);
  return (
    <div role="row">
      <Cell>
        <Glyph kind={markOf(line.priority)} label={level} />
      </Cell>
      <Cell class="mono wrap-any">
        {line.text}
        {line.left_out > 0 && <span class="t3"> {t`(${plural(line.left_out, "line")} before this one dropped: too many at once)`}</span>}
        <small class="only-phone t3">{line.source}</small>
      </Cell>
      <Cell class="cut t2" title={line.source}>
        {line.source || "—"}
      </Cell>
      <Cell class="t3">{level}</Cell>
      <Cell class="t3">
        <Time at={line.at}>
          {sameDay(line.at, dayStart.value) ? "" : `${date(line.at, dayStart.value)}, `}
          {clock(line.at)}
        </Time>
      </Cell>
    </div>
  );
}
