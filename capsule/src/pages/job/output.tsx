/** The live output of a job, with buttons to pause, search, copy, download, and view it as plain text. */

import { useEffect, useRef, useState } from "preact/hooks";
import { OutputThrottle } from "../../core/jobs/output-throttle";
import { clock, count, decimalSize, t } from "../../core/text";
import { jobEnded, jobGlyph, jobLabel, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { outputUrl, type JobDetail } from "../../state/job-detail";
import { live } from "../../state/live/link";
import { shade } from "../../state/theme";
import type { JobView } from "../../state/types";
import type { ScreenHandle, ScreenProps } from "../../terminal/screen";
import { Button, Glyph, Icon, lazy } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { Time } from "../../ui/time";

const Screen = lazy<ScreenProps>(t`the terminal`, async () => (await import("../../terminal/screen")).Screen);
const TEXT_MS = 1000;
/** The width of the search field when it also shows how many lines it searches. */
const WIDE = "330px";

interface Props {
  detail: JobDetail;
  job: JobView;
  node: string;
}

/** The text before the first line of output, because an empty terminal looks broken. */
function waitingText({ state, phase, action }: JobView): string {
  if (state !== "running") return `${stateLabel(state)}…`;
  return phase === "plan" ? t`Checking the plan…` : phase ? `${phaseLabel(phase, action)}…` : t`Starting…`;
}

export function Output({ detail, job, node }: Props) {
  const screen = useRef<ScreenHandle | null>(null);
  const throttle = useRef<OutputThrottle | null>(null);
  const [following, setFollowing] = useState(true);
  const [paused, setPaused] = useState(false);
  const [skipped, setSkipped] = useState(0);
  const [wrapped, setWrapped] = useState(false);
  const [plain, setPlain] = useState(false);
  const [full, setFull] = useState(false);
  /** The number of lines in the buffer once it is full; 0 = the buffer has the whole output. */
  const [linesKept, setLinesKept] = useState(0);
  const ended = jobEnded(job.state);
  // Reads a signal that changes with each chunk, so that the number of waiting bytes is redrawn.
  const received = Math.max(detail.received.value, ended ? job.output_bytes : 0);
  const label = t`Output of ${jobLabel(job)} on ${node}`;
  const ready = (made: ScreenHandle): void => {
    screen.current = made;
    const next = new OutputThrottle({
      write: made.write,
      skipped: (bytes) => {
        made.restart();
        setSkipped((before) => before + bytes);
      },
    });
    throttle.current = next;
    detail.onOutput((bytes) => next.push(bytes));
  };
  useEffect(() => {
    if (!full) return undefined;
    // The number changes with new output and with the width.
    const countLines = (): void => setLinesKept(screen.current?.lines() ?? 0);
    countLines();
    const timer = setInterval(countLines, TEXT_MS);
    return () => clearInterval(timer);
  }, [full]);
  const file = { href: outputUrl(job.id), download: `${node}-${job.action}-${job.id}.log` };
  const follow = (): void => {
    throttle.current?.go();
    setPaused(false);
    screen.current?.toEnd();
    setFollowing(true);
  };
  const pause = (): void => {
    throttle.current?.hold();
    setPaused(true);
    setFollowing(false);
  };
  const waiting = paused ? (throttle.current?.waiting ?? 0) : 0;
  const hidden = detail.skipped.value + skipped;
  return (
    <section class="card terminal" aria-label={t`Output`}>
      <div class="terminal-head">
        <Glyph kind={jobGlyph(job.state)} label="" />
        <b class="cut strong">{node}</b>
        <span class="t3 cut only-desk">{jobLabel(job).toLowerCase()}</span>
        <span class="grow" />
        <Search screen={screen} linesKept={linesKept} />
        {!ended ? (
          <Button
            slim
            kind="quiet"
            icon={following ? "pause" : "arrow-down"}
            more={{ "aria-pressed": following }}
            onClick={following ? pause : follow}
          >
            {following ? t`Following` : waiting ? t`Follow (${decimalSize(waiting)} new)` : t`Follow`}
          </Button>
        ) : (
          !following && <Button slim kind="quiet" name={t`Jump to end`} icon="arrow-down-to-line" onClick={follow} />
        )}
        <Button
          slim
          kind="quiet"
          more={{ "aria-pressed": wrapped }}
          class="only-desk"
          onClick={() => {
            screen.current?.wrap(!wrapped);
            setWrapped(!wrapped);
          }}
        >
          {t`Wrap`}
        </Button>
        <Button
          slim
          kind="quiet"
          icon="scroll-text"
          name={t`View as plain text`}
          more={{ "aria-pressed": plain }}
          onClick={() => setPlain(!plain)}
        />
        <CopyButton
          name={linesKept ? t`Copy the last ${count(linesKept)} lines` : t`Copy output`}
          text={() => screen.current?.text() ?? ""}
        />
        <a class="button quiet slim only-icon" {...file} aria-label={t`Download log`} title={t`Download log`}>
          <Icon name="download" size="small" />
        </a>
      </div>
      {hidden > 0 && (
        <p class="terminal-foot">
          <Icon name="info" size="small" />
          {skipped > 0
            ? t`${decimalSize(hidden)} are not shown here, partly because output came too fast; the download has everything.`
            : t`The first ${decimalSize(hidden)} are not shown here; the download has everything.`}
        </p>
      )}
      {linesKept > 0 && (
        <p class="terminal-foot">
          <Icon name="info" size="small" />
          {t`Only the last ${count(linesKept)} lines can be scrolled to, searched and copied here.`}
          <a class="accent" {...file}>
            {t`Download the whole output`}
          </a>
        </p>
      )}
      {plain && <Plain label={label} screen={screen} received={received} />}
      <div class="screen-box" hidden={plain}>
        {received === 0 && <p class="screen-empty t3">{ended ? t`It printed nothing.` : waitingText(job)}</p>}
        <Screen
          label={label}
          shade={shade.value}
          onReady={ready}
          onFollow={(on) => !throttle.current?.held && setFollowing(on)}
          onFull={() => setFull(true)}
        />
      </div>
      <div class="terminal-foot">
        <span class="row">
          {ended ? (
            <>
              {t`ended`} {job.ended_at !== null && <Time at={job.ended_at}>{clock(job.ended_at)}</Time>}
            </>
          ) : (
            <>
              <Glyph kind={live.value ? (paused ? "pause" : "ok") : "stale"} label="" />
              {live.value
                ? paused
                  ? t`paused`
                  : job.state === "running"
                    ? t`streaming`
                    : stateLabel(job.state).toLowerCase()
                : t`no connection`}
            </>
          )}
        </span>
        <span class="num" data-output-bytes={received}>
          {decimalSize(received)}
        </span>
        <span class="grow" />
        {job.output_sha256 && (
          <span class="mono only-desk" title={job.output_sha256}>
            {t`SHA-256 ${job.output_sha256.slice(0, 12)}…`}
          </span>
        )}
      </div>
    </section>
  );
}

type ScreenRef = { readonly current: ScreenHandle | null };

/** The search in the buffer. It starts at the newest match. Enter steps to older matches. */
function Search({ screen, linesKept }: { screen: ScreenRef; linesKept: number }) {
  const [words, setWords] = useState("");
  const [place, setPlace] = useState(0);
  const [found, setFound] = useState(0);
  const showMatch = (next: string, at: number): void => {
    setFound(screen.current?.find(next, at) ?? 0);
    setPlace(at);
  };
  const step = (by: number): void => showMatch(words, found ? (place + by + found) % found : 0);
  return (
    <span class="row terminal-search" role="search">
      <span class="search" style={linesKept ? { width: WIDE } : undefined}>
        <Icon name="search" size="small" />
        <input
          type="search"
          aria-label={t`Search in output`}
          placeholder={t`Search`}
          data-shortcut="/"
          value={words}
          spellcheck={false}
          onInput={(event) => {
            setWords(event.currentTarget.value);
            showMatch(event.currentTarget.value, 0);
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
            else if (event.key === "Escape") {
              setWords("");
              showMatch("", 0);
              event.currentTarget.blur();
            } else return;
            event.preventDefault();
          }}
        />
        <span class="num meta" role="status">
          {words
            ? found
              ? t`${count(found - place)} of ${count(found)}`
              : linesKept
                ? t`none in the last ${count(linesKept)} lines`
                : t`none`
            : ""}
        </span>
      </span>
      {words && (
        <>
          <Button slim kind="quiet" name={t`Previous match`} icon="arrow-up" onClick={() => step(1)} />
          <Button slim kind="quiet" name={t`Next match`} icon="arrow-down" onClick={() => step(-1)} />
        </>
      )}
    </span>
  );
}

/** The lines of the terminal as text for screen readers, updated at most once a second. */
function Plain({ label, screen, received }: { label: string; screen: ScreenRef; received: number }) {
  const [text, setText] = useState(() => screen.current?.text() ?? "");
  const newest = useRef(received);
  newest.current = received;
  useEffect(() => {
    let shown = -1;
    const timer = setInterval(() => {
      // Received output reaches the screen a moment later, so the text is read once more after the last change.
      const next = screen.current?.text() ?? "";
      if (shown !== newest.current || next.length !== text.length) setText(next);
      shown = newest.current;
    }, TEXT_MS);
    return () => clearInterval(timer);
  }, [text]);
  return (
    <pre class="plain-log" role="log" aria-label={t`${label}, plain text`} tabIndex={0}>
      {text}
    </pre>
  );
}
