/** A chart that keeps its plot while samples, size and theme change, and that pointer and keys can read. */

import { effect } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { t } from "../core/text";
import { nearestRow } from "../core/charts/window";
import { observeAhead, observeVisible } from "../ui/use-in-view";
import { FONT } from "./draw-overlays";
import { columnsOf, leftOf, createPlot, widthOf, type PlotState } from "./create-plot";
import { momentAt, momentSentence, Tooltip } from "./tooltip";
import { selectByTouch } from "./touch";
import type { ChartProps, Library } from "./types";

/** A mark belongs to the cursor if it is at most this far away, in CSS pixels. */
const MARK_REACH_PX = 7;

/** The keyboard cursor: its moment, and the start of the selected range (null = no range). */
interface Keys {
  at: number;
  anchor: number | null;
}

/** The shape of a plot: other lines, bands, colours or axis steps need a new plot. */
const shapeOf = ({ shade, data, series, binary }: ChartProps): string =>
  `${shade}|${binary ? "binary" : ""}|${data.band ? "band" : ""}|${series.map((one) => `${one.name}${one.colour}`).join()}`;

/** The chart component that draws with the loaded library. */
export function chartWith(library: Library): ComponentType<ChartProps> {
  return function Chart(props: ChartProps) {
    const box = useRef<HTMLDivElement>(null);
    const plot = useRef<uPlot | null>(null);
    const held = useRef<PlotState>({ props, top: 0, topAt: 0, window: "" });
    const pointed = useRef(false);
    /** Whether the pointer is over the area of the lines, not over the axes. */
    const over = useRef(false);
    /** Whether the chart is on or near the screen, and whether samples arrived while it was not. */
    const sight = useRef({ near: true, late: false });
    /** The moment under the pointer or finger. */
    const [own, setOwn] = useState<number | null>(null);
    const [keys, setKeys] = useState<Keys | null>(null);
    held.current.props = props;
    const { group, data } = props;
    const shape = shapeOf(props);
    /** The shape of the existing plot. Data of another shape waits until the plot is replaced. */
    const plotShape = useRef("");
    /** Moves the cursor of this chart to the cursor of its group, unless the pointer is over this chart. */
    const follow = useMemo(
      () => (): void => {
        const chart = plot.current;
        if (!chart || pointed.current) return;
        const at = held.current.props.group.cursor.peek();
        const { from, to } = held.current.props.data;
        const left = at === null || at < from || at > to ? -10 : chart.valToPos(at, "x");
        if (chart.cursor.left !== left) chart.setCursor({ left, top: left < 0 ? -10 : 10 }, false);
      },
      [],
    );
    useEffect(() => {
      const element = box.current as HTMLDivElement;
      let unmounted = false;
      const onCursor = (chart: uPlot): void => {
        if (!pointed.current) return;
        const { left } = chart.cursor;
        const { times } = held.current.props.data.columns;
        if (left === undefined || left < 0) {
          if (!over.current) return;
          over.current = false;
          setOwn(null);
          held.current.props.group.cursor.value = null;
          return;
        }
        over.current = true;
        const at = chart.posToVal(left, "x");
        setKeys(null);
        setOwn(at);
        held.current.props.group.cursor.value = times[nearestRow(times, at)] ?? at;
      };
      const build = (): void => {
        if (unmounted) return;
        plotShape.current = shapeOf(held.current.props);
        plot.current = createPlot(library, element, held.current, { onCursor });
        // The plot computes its positions in a microtask that was queued before this one.
        queueMicrotask(follow);
      };
      // The font must be loaded before the first text: a canvas never replaces a fallback font.
      document.fonts.load(FONT).then(build, build);
      const resizing = new ResizeObserver(() =>
        plot.current?.setSize({ width: Math.max(50, element.clientWidth - 6), height: Math.max(50, element.clientHeight - 2) }),
      );
      resizing.observe(element);
      const stopVisible = observeVisible(element, (near) => {
        sight.current.near = near;
        if (!near || !sight.current.late) return;
        sight.current.late = false;
        if (plotShape.current === shapeOf(held.current.props)) plot.current?.setData(columnsOf(held.current.props));
      });
      // A canvas costs time in each frame of the page, even if it is invisible and unchanged.
      const stopAhead = observeAhead(element, (ahead) => element.classList.toggle("far", !ahead));
      const stopTouch = selectByTouch(element, {
        plot: () => plot.current,
        onAt: (at) => {
          const { times } = held.current.props.data.columns;
          setOwn(at);
          held.current.props.group.cursor.value = times[nearestRow(times, at)] ?? at;
        },
        onZoom: (from, to) => {
          setOwn(null);
          held.current.props.group.cursor.value = null;
          held.current.props.group.onZoom(from, to);
        },
      });
      return () => {
        unmounted = true;
        stopTouch();
        resizing.disconnect();
        stopVisible();
        stopAhead();
        plot.current?.destroy();
        plot.current = null;
      };
    }, [shape]);
    // A layout effect draws the line in the same frame as the texts of the page; a later effect would need another frame.
    useLayoutEffect(() => {
      sight.current.late = !sight.current.near;
      if (sight.current.near && plotShape.current === shape) plot.current?.setData(columnsOf(props));
      follow();
    }, [data, shape]);
    useEffect(() => plot.current?.redraw(false), [group.marks, props.threshold?.at]);
    useEffect(
      () =>
        effect(() => {
          void group.cursor.value;
          follow();
        }),
      [group.cursor],
    );
    useLayoutEffect(() => {
      if (keys) showRange(plot.current, keys);
    }, [keys, data]);
    const leave = (): void => {
      pointed.current = false;
      over.current = false;
      setOwn(null);
      group.cursor.value = null;
    };
    const clearKeys = (): void => {
      setKeys(null);
      plot.current?.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      if (!pointed.current) group.cursor.value = null;
    };
    const moveKeys = (next: Keys): void => {
      setKeys(next);
      group.cursor.value = next.at;
    };
    const press = (event: KeyboardEvent): void => {
      const { times } = data.columns;
      if (!times.length || event.ctrlKey || event.metaKey || event.altKey) return;
      const last = times.length - 1;
      const now = keys?.at ?? data.to;
      const row = nearestRow(times, now);
      const moves: Record<string, number> = { ArrowLeft: keys ? row - 1 : row, ArrowRight: row + 1, Home: 0, End: last };
      const to = moves[event.key];
      if (to !== undefined) {
        const at = times[Math.max(0, Math.min(last, to))] as number;
        moveKeys({ at, anchor: event.shiftKey ? (keys?.anchor ?? now) : null });
      } else if (event.key === "Enter" && keys && keys.anchor !== null) {
        clearKeys();
        group.onZoom(Math.min(keys.anchor, keys.at), Math.max(keys.anchor, keys.at));
      } else if (event.key === "Escape" && keys) clearKeys();
      else if (event.key === "+" || event.key === "=") group.onScale(0.5, now);
      else if (event.key === "-") group.onScale(2, now);
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    const at = keys?.at ?? own;
    const chart = plot.current;
    // Uses the size that the plot already has: asking the browser would force a layout for each chart.
    const moment =
      at === null || !chart ? null : momentAt(props, at, ((data.to - data.from) / Math.max(1, widthOf(chart))) * MARK_REACH_PX);
    return (
      <div
        class="plot"
        ref={box}
        role="group"
        aria-roledescription={t`chart`}
        tabIndex={0}
        aria-label={t`${props.label} over time. Arrow keys move sample by sample. With Shift they select a range, and Enter zooms in. v shows a table.`}
        onMouseEnter={() => {
          pointed.current = true;
        }}
        onMouseLeave={leave}
        onBlur={clearKeys}
        onKeyDown={press}
      >
        {moment && chart && (
          <Tooltip
            props={props}
            moment={moment}
            left={leftOf(chart) + chart.valToPos(moment.missing > 0 ? (at as number) : moment.at, "x")}
            width={box.current?.clientWidth ?? 0}
          />
        )}
        <span class="hidden-text" role="status">
          {keys && moment ? momentSentence(props, moment) : ""}
        </span>
      </div>
    );
  };
}

function showRange(plot: uPlot | null, { at, anchor }: Keys): void {
  if (!plot) return;
  const [one, other] = [plot.valToPos(at, "x"), plot.valToPos(anchor ?? at, "x")];
  const width = anchor === null ? 0 : Math.abs(one - other);
  plot.setSelect({ left: Math.min(one, other), top: 0, width, height: width ? plot.over.clientHeight : 0 }, false);
}
