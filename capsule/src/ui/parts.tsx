/** Small pieces that only show: meters, sparks, tags, banners, empty and loading states. */

import type { ComponentChildren, VNode } from "preact";
import type { Level } from "../core/nodes/node-status";
import { t } from "../core/text/i18n";
import { clock, iso } from "../core/text/time";
import { Button } from "./button";
import { Glyph } from "./glyph";
import { Icon, type IconName } from "./icon";
import { isLost, OfflineNotice, useOnceBack } from "./offline-notice";
import { useLoadingStage } from "./use-loading-stage";

/** One element and no transform: a fleet has dozens of them, and each layer or clip more costs the browser at every value. */
export function Meter({ value, level = "" }: { value: number | null; level?: Level }): VNode {
  return <span class={`meter ${level}`} aria-hidden="true" style={{ backgroundSize: `${Math.round(Math.max(0, Math.min(100, value ?? 0)) * 2) / 2}% 100%` }} />;
}

/** A threshold crossing beside a number: a shape too, never colour alone. */
export function Mark({ level }: { level: Level }): VNode | null {
  return level ? <Glyph kind={level} size="tiny" /> : null;
}

interface SparkProps {
  values: readonly (number | null)[];
  width?: number;
  height?: number;
  /** Top of the scale; the largest value when it is not given. */
  max?: number;
  kind?: "" | "second" | Level;
}

export function Spark({ values, width = 72, height = 20, max, kind = "" }: SparkProps): VNode {
  const top = Math.max(max ?? Math.max(...values.map((value) => value ?? 0)) * 1.15, 1e-9);
  let line = "";
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = (index / Math.max(1, values.length - 1)) * width;
    const y = height - 1 - (Math.min(value, top) / top) * (height - 2);
    line += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return (
    <svg class={`spark ${kind}`} width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={line} />
    </svg>
  );
}

export function Time({ at, children }: { at: number; children?: ComponentChildren }): VNode {
  return <time dateTime={iso(at)}>{children ?? clock(at)}</time>;
}

interface BannerProps {
  kind?: "" | "crit" | "info" | "calm";
  mark: ComponentChildren;
  /** Spoken at once. */
  alert?: boolean;
  children: ComponentChildren;
  action?: ComponentChildren;
}

export function Banner({ kind = "", mark, alert = false, children, action }: BannerProps): VNode {
  return (
    <div class={`banner ${kind}`} role={alert ? "alert" : "status"}>
      {mark}
      <span class="grow">{children}</span>
      {action}
    </div>
  );
}

export function Empty({ icon, title, text, children }: { icon: IconName; title: string; text: ComponentChildren; children?: ComponentChildren }): VNode {
  return (
    <div class="card empty">
      <Icon name={icon} size="huge" />
      <h2>{title}</h2>
      <p>{text}</p>
      {children && <div class="row">{children}</div>}
    </div>
  );
}

interface Failed {
  detail: string;
  instance: string;
  status: number;
}

/** A proxy says so of a hub that is not there. */
const AWAY = [0, 502, 503, 504];

/** What went wrong in one panel; the rest of the page keeps working. */
export function Failure({ title, error, onRetry }: { title: string; error: Failed; onRetry: () => void }): VNode {
  useOnceBack(AWAY.includes(error.status), onRetry);
  return (
    <div class="card empty" role="alert">
      <Icon name="circle-alert" size="huge" />
      <h2>{title}</h2>
      <p>
        {error.detail} {error.instance && <span class="mono">{error.instance}</span>}
      </p>
      <div class="row">
        <Button slim icon="rotate-cw" onClick={onRetry}>
          {t`Try again`}
        </Button>
      </div>
    </div>
  );
}

export function Skeletons({ rows }: { rows: number }): VNode {
  return (
    <>
      {Array.from({ length: rows }, (_, index) => (
        <div class="loading-row" key={index}>
          <span class="skeleton dot" />
          <span class={`skeleton w${index % 3}`} />
          <span class="skeleton" />
          <span class="skeleton" />
        </div>
      ))}
    </>
  );
}

/** Rows of the shape to come: nothing for a moment, then a skeleton, then a sentence. */
export function Loading({ rows = 5, what, onRetry, above }: { rows?: number; what: string; onRetry?: () => void; above?: string }): VNode | null {
  const stage = useLoadingStage();
  if (stage === 0) return null;
  if (isLost()) return <OfflineNotice what={what} />;
  const table = (
    <div class="card grid-table" role="group" aria-busy="true" aria-label={t`Loading ${what}`}>
      {stage === 2 && (
        <div class="empty" role="status">
          <p>{t`Loading ${what} takes longer than usual.`}</p>
          {onRetry && (
            <Button slim onClick={onRetry}>
              {t`Try again`}
            </Button>
          )}
        </div>
      )}
      <Skeletons rows={rows} />
    </div>
  );
  return above ? (
    <>
      <div class={`card ${above}`} aria-hidden="true" />
      {table}
    </>
  ) : (
    table
  );
}

export function Segmented<T extends string>({ label, value, options, onPick }: { label: string; value: T; options: readonly { key: T; label: string; show?: ComponentChildren }[]; onPick: (key: T) => void }): VNode {
  return (
    <div
      class="segmented"
      role="radiogroup"
      aria-label={label}
      onKeyDown={(event) => {
        const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 0;
        if (!step) return;
        event.preventDefault();
        const at = options.findIndex((option) => option.key === value);
        const next = options[(at + step + options.length) % options.length];
        if (!next) return;
        onPick(next.key);
        (event.currentTarget.children[options.indexOf(next)] as HTMLElement).focus();
      }}
    >
      {options.map((option) => (
        <button key={option.key} type="button" role="radio" aria-checked={option.key === value} tabIndex={option.key === value ? 0 : -1} aria-label={option.label} title={option.show ? option.label : undefined} onClick={() => onPick(option.key)}>
          {option.show ?? option.label}
        </button>
      ))}
    </div>
  );
}
