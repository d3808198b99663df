/** Selects a time range when a finger moves sideways across a plot. A finger that moves up or down scrolls the page (`touch-action`). */

import type uPlot from "uplot";

/** A shorter move is a tap: the browser then sends mouse events, which show the values. */
const LEAST_PX = 12;

interface TouchOptions {
  plot: () => uPlot | null;
  /** Called with the time under the finger. */
  onAt: (at: number) => void;
  onZoom: (from: number, to: number) => void;
}

/** Returns a function that removes the listeners. */
export function selectByTouch(element: HTMLElement, { plot, onAt, onZoom }: TouchOptions): () => void {
  let start: number | null = null;
  const leftOf = (event: PointerEvent, chart: uPlot): number =>
    Math.max(0, Math.min(chart.over.clientWidth, event.clientX - chart.over.getBoundingClientRect().left));
  const show = (left: number, width: number, chart: uPlot): void =>
    chart.setSelect({ left, top: 0, width, height: width ? chart.over.clientHeight : 0 }, false);
  const down = (event: PointerEvent): void => {
    const chart = plot();
    start = chart && event.pointerType === "touch" && event.isPrimary ? leftOf(event, chart) : null;
  };
  const move = (event: PointerEvent): void => {
    const chart = plot();
    if (start === null || !chart || !event.isPrimary) return;
    const left = leftOf(event, chart);
    if (Math.abs(left - start) < LEAST_PX) return;
    show(Math.min(start, left), Math.abs(left - start), chart);
    onAt(chart.posToVal(left, "x"));
  };
  const up = (event: PointerEvent): void => {
    const chart = plot();
    if (start === null || !chart || !event.isPrimary) return;
    const [from, to] = [start, leftOf(event, chart)].sort((a, b) => a - b) as [number, number];
    stop();
    if (to - from >= LEAST_PX) onZoom(chart.posToVal(from, "x"), chart.posToVal(to, "x"));
  };
  /** Ends the selection: the finger was lifted, or the browser started to scroll. */
  const stop = (): void => {
    const chart = plot();
    if (start !== null && chart) show(0, 0, chart);
    start = null;
  };
  const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: stop } as const;
  for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name as keyof typeof listeners, listener);
  return () => {
    for (const [name, listener] of Object.entries(listeners)) element.removeEventListener(name as keyof typeof listeners, listener);
  };
}
