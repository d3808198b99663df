/** A finger drawn sideways across a plot selects a time range, like a dragged pointer. Up and down it still scrolls the page (`touch-action`). */

import type uPlot from "uplot";

/** A shorter move is a tap: its synthetic mouse events show the values there. */
const LEAST_PX = 12;

interface TouchOptions {
  plot: () => uPlot | null;
  /** The position of the finger. */
  onAt: (at: number) => void;
  onZoom: (from: number, to: number) => void;
}

/** Returns a function that removes the listeners. */
export function selectByTouch(element: HTMLElement, { plot, onAt, onZoom }: TouchOptions): () => void {
  let start: number | null = null;
  const leftOf = (event: PointerEvent, chart: uPlot): number => Math.max(0, Math.min(chart.over.clientWidth, event.clientX - chart.over.getBoundingClientRect().left));
  const show = (left: number, width: number, chart: uPlot): void => chart.setSelect({ left, top: 0, width, height: width ? chart.over.clientHeight : 0 }, false);
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
  /** The browser started to scroll, or the finger was lifted. */
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
