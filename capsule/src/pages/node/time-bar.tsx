/** The common time range of a page's charts: its data, keys and buttons. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { age, clock, date, sameDay, t } from "../../core/text";
import {
  LIVE_S,
  panSpan,
  RANGE_KEYS,
  parseTimeRange,
  zoomSpan,
  spanOf,
  typedSpan,
  timeRangeKey,
  timeRangeQuery,
  clampSpan,
  type Range,
  type Span,
  type TimeRange,
} from "../../core/charts/time-range";
import { parseLocalDatetime, localDatetime, repeatedHourOffset } from "../../core/text/local-datetime";
import type { ChartMark } from "../../core/charts/chart-marks";
import type { ChartGroup } from "../../charts/panel";
import { dayStart, hubNow } from "../../state/clock";
import { openDialog } from "../../state/dialogs";
import { pointsFor } from "../../state/node-detail";
import { singleKeys } from "../../state/preferences";
import { pageUrl, setQuery } from "../../state/router";
import { Banner, Button, Form, Icon, Segmented, TextField } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";

const RANGE_WORDS: Record<Range, string> = { live: t`Live`, "1h": t`1h`, "24h": t`24h`, "7d": t`7d`, "30d": t`30d` };
const SHORTEST_RELOAD_S = 10;
const DAY_S = 86_400;
const TYPED_INTO = "input, textarea, select, [contenteditable], .xterm";
const PRESSED = "button, a, summary, [role=option], [role=tab], [role=radio]";

export const shownTimeRange = (): TimeRange => parseTimeRange((name) => pageUrl.value.query.get(name));
const showTimeRange = (view: TimeRange): void => setQuery(timeRangeQuery(view));
/** The span of the current window. */
const spanShown = (view: TimeRange): Span =>
  view.range === "live" && !view.zoom
    ? { from: Math.floor(hubNow()) - LIVE_S, to: Math.floor(hubNow()) }
    : spanOf(view, hubNow(), points());
/** The number of points to request for a chart as wide as the page. */
export const points = (): number => pointsFor(innerWidth);

/**
 * Loads the data of a window. While the page is visible, it is loaded again for each new bucket, at most every ten seconds. A window in the
 * past is loaded once.
 *
 * `load` returns the width of the buckets in seconds, and must not reject: after a rejection nothing is loaded any more. Other `names` are
 * loaded immediately.
 */
export function useHistory(view: TimeRange, names: string, load: (key: string, span: Span, points: number) => Promise<number>): void {
  const key = timeRangeKey(view);
  useEffect(() => {
    if (key === "live") return undefined;
    let timer: ReturnType<typeof setTimeout>;
    let unmounted = false;
    /** The `performance.now()` of the next load; Infinity = data is loading, or there is nothing more to load. */
    let due = 0;
    const read = async (): Promise<void> => {
      due = Infinity;
      const span = spanOf(view, hubNow(), points());
      const step = await load(key, span, points());
      // A window that ended a few seconds ago is loaded again, because its last samples may arrive late.
      if (unmounted || (view.zoom && span.to <= hubNow() - SHORTEST_RELOAD_S)) return;
      due = performance.now() + Math.max(SHORTEST_RELOAD_S, step) * 1000;
      plan();
    };
    const plan = (): void => {
      clearTimeout(timer);
      if (document.hidden || due === Infinity) return;
      const wait = due - performance.now();
      if (wait > 0) timer = setTimeout(() => void read(), wait);
      else void read();
    };
    plan();
    document.addEventListener("visibilitychange", plan);
    return () => {
      unmounted = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", plan);
    };
  }, [key, names]);
}

export function useGroup(view: TimeRange, marks: readonly ChartMark[], zone: string): ChartGroup {
  const cursor = useSignal<number | null>(null);
  return {
    cursor,
    marks,
    zone,
    onZoom: (from, to) => showTimeRange({ ...view, zoom: clampSpan(from, to, hubNow()) }),
    onScale: (factor, centre) => showTimeRange({ ...view, zoom: zoomSpan(spanShown(view), factor, centre, hubNow()) }),
    onReset: () => showTimeRange({ ...view, zoom: null }),
  };
}

/**
 * The keys of charts: Space freezes and resumes, Escape leaves a fixed window. Single keys, unless the user has disabled them: 1–5 select
 * ranges, v shows the chart under the pointer as a table. `on`: whether the page has charts.
 */
export function useViewKeys(on = true): void {
  useEffect(() => {
    if (!on) return undefined;
    const pressed = (event: KeyboardEvent): void => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.defaultPrevented ||
        openDialog.peek() ||
        document.querySelector("dialog[open]")
      )
        return;
      const at = event.target instanceof Element ? event.target : document.body;
      if (at.closest(TYPED_INTO)) return;
      const view = shownTimeRange();
      const single = singleKeys();
      const range = RANGE_KEYS[Number(event.key) - 1];
      if (single && range && /^[1-5]$/.test(event.key)) showTimeRange({ range, zoom: null });
      else if (event.key === " " && !at.closest(PRESSED)) toggleLive(view);
      else if (event.key === "Escape" && view.zoom) showTimeRange({ ...view, zoom: null });
      else if (single && event.key === "v")
        document.querySelector("figure.card:hover")?.dispatchEvent(new KeyboardEvent("keydown", { key: "v", cancelable: true }));
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [on]);
}

function toggleLive(view: TimeRange): void {
  showTimeRange(view.zoom || view.range !== "live" ? { range: "live", zoom: null } : { range: "live", zoom: spanShown(view) });
}

/** The buttons for the ranges, and for a dialog that sets any window. `mark`: the sign beside "Live" while it runs. */
export function RangeButtons({ view, mark }: { view: TimeRange; mark: ComponentChildren }) {
  const [asking, setAsking] = useState(false);
  const live = view.range === "live" && !view.zoom;
  return (
    <>
      <span class="row ranges">
        {live && (
          <Button
            slim
            kind="quiet"
            icon="pause"
            name={t`Freeze live view`}
            more={{ "aria-keyshortcuts": t`Space` }}
            onClick={() => toggleLive(view)}
          />
        )}
        <Button slim kind="quiet" icon="clock" name={t`Choose a time range`} onClick={() => setAsking(true)} />
        <Segmented
          label={t`Time range`}
          value={view.range}
          onPick={(range) => showTimeRange({ range, zoom: null })}
          options={RANGE_KEYS.map((key) => ({
            key,
            label: RANGE_WORDS[key],
            show: (
              <>
                {key === "live" && (view.range === "live" && view.zoom ? <Icon name="pause" size="tiny" /> : mark)}
                {RANGE_WORDS[key]}
              </>
            ),
          }))}
        />
      </span>
      {asking && <CustomRangeDialog view={view} onClose={() => setAsking(false)} />}
    </>
  );
}

const momentText = (at: number, dated: boolean): string => (dated ? `${date(at, dayStart.value)}, ${clock(at, false)}` : clock(at));

/** The bar of a fixed window: its times, and buttons that move and scale it. Nothing if no window is fixed. */
export function WindowBar({ view, loading }: { view: TimeRange; loading: boolean }) {
  const { range, zoom } = view;
  if (!zoom) return null;
  const show = (next: Span): void => showTimeRange({ range, zoom: next });
  const middle = (zoom.from + zoom.to) / 2;
  const dated = !sameDay(zoom.from, dayStart.value) || !sameDay(zoom.to, dayStart.value);
  return (
    <div class="window-bar">
      <Banner
        kind="calm"
        mark={<Icon name={range === "live" ? "pause" : "clock"} />}
        action={
          <span class="row wrap">
            <Button slim onClick={() => show(panSpan(zoom, -0.5, hubNow()))}>
              {t`Earlier`}
            </Button>
            <Button slim onClick={() => show(panSpan(zoom, 0.5, hubNow()))}>
              {t`Later`}
            </Button>
            <Button slim onClick={() => show(zoomSpan(zoom, 0.5, middle, hubNow()))}>
              {t`Zoom in`}
            </Button>
            <Button slim onClick={() => show(zoomSpan(zoom, 2, middle, hubNow()))}>
              {t`Zoom out`}
            </Button>
            <Button slim kind="primary" onClick={() => showTimeRange({ range, zoom: null })}>
              {range === "live" ? t`Back to live` : t`Back to ${RANGE_WORDS[range]}`}
            </Button>
          </span>
        }
      >
        <b>
          {momentText(zoom.from, dated)} – {momentText(zoom.to, dated)}
        </b>{" "}
        <span class="plain">
          {age(zoom.to - zoom.from)}
          {loading ? `, ${t`reading…`}` : ""}
        </span>
      </Banner>
    </div>
  );
}

function CustomRangeDialog({ view, onClose }: { view: TimeRange; onClose: () => void }) {
  const [opened] = useState(() => spanShown(view));
  const [from, setFrom] = useState(localDatetime(opened.from));
  const [to, setTo] = useState(localDatetime(opened.to));
  const [start, end] = [parseLocalDatetime(from, opened.from), parseLocalDatetime(to, opened.to)];
  const wrong =
    !Number.isFinite(start) || !Number.isFinite(end)
      ? t`Both times are needed.`
      : end <= start
        ? t`The end must be after the start.`
        : start >= hubNow()
          ? t`That time is in the future.`
          : Math.min(end, hubNow()) - start > 400 * DAY_S
            ? t`At most 400 days can be shown.`
            : "";
  return (
    <Dialog title={t`Custom time range`} subtitle={t`For all charts on this page, in your own time zone.`} size="narrow" onClose={onClose}>
      <Form
        onSubmit={() => {
          if (wrong) return;
          onClose();
          showTimeRange({ ...view, zoom: typedSpan(start, end, hubNow()) });
        }}
      >
        <div class="body">
          <TextField
            label={t`From`}
            type="datetime-local"
            hint={repeatedHourOffset(start)}
            value={from}
            onText={setFrom}
            input={{ step: 1, required: true, autofocus: true }}
          />
          <TextField
            label={t`To`}
            type="datetime-local"
            hint={repeatedHourOffset(end)}
            value={to}
            onText={setTo}
            wrong={wrong}
            input={{ step: 1, required: true }}
          />
        </div>
        <Foot onClose={onClose}>
          <Button kind="primary" type="submit" disabled={wrong !== ""}>
            {t`Show`}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}
