/** A terminal that shows a job's output. It filters the bytes and takes no keyboard input. */

import { FitAddon } from "@xterm/addon-fit";
import { Terminal, type ITheme } from "@xterm/xterm";
import { useEffect, useRef } from "preact/hooks";
import { searchRows, type ScreenRow } from "../core/jobs/terminal-search";
import { AnsiFilter } from "../core/jobs/ansi-filter";
import { styledDocument } from "./csp-styles";

/** The width of the job's terminal. */
const COLUMNS = 120;
const SCROLLBACK = 5000;
const FEWEST_ROWS = 10;
const FEWEST_COLUMNS = 20;

export interface ScreenHandle {
  /** Calls `done` when the terminal has processed the bytes. */
  write(bytes: Uint8Array, done: () => void): void;
  /** Call this if bytes were skipped: the next bytes do not continue the last bytes. */
  restart(): void;
  /** Shows one match. `place` counts backwards from the newest match, which is 0. Returns the number of matches. */
  find(words: string, place: number): number;
  /** Wraps long lines at the edge of the page, or (false) at the width of the job's terminal. */
  wrap(on: boolean): void;
  /** The whole buffer as plain text. */
  text(): string;
  /** The number of lines in the buffer. A line may take several rows. */
  lines(): number;
  toEnd(): void;
}

export interface ScreenProps {
  label: string;
  /** The theme; when it changes, colours are read again. */
  shade: string;
  onReady: (screen: ScreenHandle) => void;
  /** Called with false when the user scrolls up, and with true when the end is visible again. */
  onFollow: (following: boolean) => void;
  /** Called once, when the buffer is full: from then on each new line drops an old line. */
  onFull: () => void;
}

function colours(): ITheme {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const text = token("--term-fg");
  return {
    background: token("--term-bg"),
    foreground: text,
    cursor: token("--term-bg"),
    cursorAccent: token("--term-bg"),
    selectionBackground: `${token("--accent")}99`,
    black: token("--term-bg"),
    brightBlack: token("--t-dim"),
    red: token("--t-red"),
    brightRed: token("--t-red"),
    green: token("--t-green"),
    brightGreen: token("--t-green"),
    yellow: token("--t-yellow"),
    brightYellow: token("--t-yellow"),
    blue: token("--t-blue"),
    brightBlue: token("--t-blue"),
    magenta: token("--t-mag"),
    brightMagenta: token("--t-mag"),
    cyan: token("--c2"),
    brightCyan: token("--c2"),
    white: text,
    brightWhite: text,
    scrollbarSliderBackground: `${token("--text-3")}55`,
    scrollbarSliderHoverBackground: `${token("--text-3")}88`,
    scrollbarSliderActiveBackground: `${token("--text-3")}aa`,
  };
}

export function Screen({ label, shade, onReady, onFollow, onFull }: ScreenProps) {
  const box = useRef<HTMLDivElement>(null);
  const terminal = useRef<Terminal | null>(null);
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const styled = styledDocument(document);
    const made = new Terminal({
      documentOverride: styled.document,
      cols: COLUMNS,
      rows: 24,
      scrollback: SCROLLBACK,
      // An erased screen moves into the scrollback, so that earlier output is not lost.
      scrollOnEraseInDisplay: true,
      disableStdin: true,
      cursorBlink: false,
      cursorInactiveStyle: "none",
      fontFamily: '"JBMono V", ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: innerWidth <= 760 ? 11 : 12,
      lineHeight: 1.25,
      letterSpacing: 0,
      drawBoldTextInBrightColors: false,
      minimumContrastRatio: 4.5,
      theme: colours(),
      // Links in the output of a server must not be clickable.
      linkHandler: null,
    });
    terminal.current = made;
    let unmounted = false;
    const fit = new FitAddon();
    made.loadAddon(fit);
    let full = false;
    const reportFull = (): void => {
      if (full || made.buffer.normal.length < SCROLLBACK + made.rows) return;
      full = true;
      onFull();
    };
    let wrapping = false;
    const resize = (): void => {
      const size = fit.proposeDimensions();
      if (!size || !Number.isFinite(size.rows) || !element.clientHeight) return;
      made.resize(wrapping ? Math.max(FEWEST_COLUMNS, Math.min(COLUMNS, size.cols)) : COLUMNS, Math.max(FEWEST_ROWS, size.rows));
      reportFull();
    };
    let filter = new AnsiFilter();
    const rows = (): ScreenRow[] =>
      Array.from({ length: made.buffer.active.length }, (_, row) => {
        const line = made.buffer.active.getLine(row);
        return { text: line?.translateToString(true) ?? "", wrapped: line?.isWrapped ?? false };
      });
    const start = (): void => {
      if (unmounted) return;
      styled.during(() => made.open(element));
      made.textarea?.setAttribute("aria-label", label);
      made.textarea?.setAttribute("readonly", "");
      resize();
      // The terminal handles no keys: they go to the page. Escape takes the focus from the terminal.
      made.attachCustomKeyEventHandler((event) => {
        if (event.type === "keydown" && event.key === "Escape") made.blur();
        return false;
      });
      made.onScroll(() => onFollow(atEnd(made)));
      onReady({
        write: (bytes, done) =>
          made.write(filter.clean(bytes), () => {
            reportFull();
            done();
          }),
        restart: () => {
          filter = new AnsiFilter();
        },
        find: (words, place) => {
          const found = searchRows(rows(), words, made.cols);
          const one = found[found.length - 1 - (((place % found.length) + found.length) % found.length)];
          if (one) {
            made.select(one.column, one.row, one.length);
            made.scrollToLine(Math.max(0, one.row - Math.floor(made.rows / 2)));
          } else made.clearSelection();
          onFollow(atEnd(made));
          return found.length;
        },
        wrap: (on) => {
          wrapping = on;
          resize();
        },
        lines: () => {
          const { active } = made.buffer;
          // The line with the cursor may be empty.
          let lines = active.getLine(active.length - 1)?.translateToString(true) ? 0 : -1;
          for (let row = 0; row < active.length; row += 1) if (!active.getLine(row)?.isWrapped) lines += 1;
          return lines;
        },
        text: () => {
          const lines: string[] = [];
          for (const { text, wrapped } of rows()) {
            if (wrapped && lines.length) lines[lines.length - 1] += text;
            else lines.push(text);
          }
          return `${lines.join("\n").trimEnd()}\n`;
        },
        toEnd: () => made.scrollToBottom(),
      });
    };
    document.fonts.load('12px "JBMono V"').then(start, start);
    const resizing = new ResizeObserver(resize);
    resizing.observe(element);
    const wheel = (): void => void requestAnimationFrame(() => onFollow(atEnd(made)));
    element.addEventListener("wheel", wheel, { passive: true });
    return () => {
      unmounted = true;
      resizing.disconnect();
      element.removeEventListener("wheel", wheel);
      made.dispose();
      styled.release();
      terminal.current = null;
    };
  }, []);
  useEffect(() => {
    if (terminal.current) terminal.current.options.theme = colours();
  }, [shade]);
  return <div class="screen" ref={box} role="log" aria-label={label} tabIndex={0} />;
}

const atEnd = (terminal: Terminal): boolean => terminal.buffer.active.viewportY >= terminal.buffer.active.baseY;
