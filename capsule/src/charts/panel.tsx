/** A chart in its card: title, legend with the newest values, and the same data as a table. */

import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { clock, iso } from "../core/time";
import type { LiveAttributes } from "../ui/live";
import { Button } from "../ui/button";
import { lazy } from "../ui/lazy";
import type { ChartProps } from "./chart";

const Chart = lazy<ChartProps>("the charts", async () => (await import("./chart")).Chart);

export interface LegendEntry {
  name: string;
  colour: 1 | 2 | 3 | 4 | 5 | 6;
  text: string;
  live: LiveAttributes;
}

export interface PanelProps extends ChartProps {
  title: ComponentChildren;
  legend: readonly LegendEntry[];
  wide?: boolean;
  /** Shown instead of an empty plot. */
  waiting?: string;
}

const MOST_ROWS = 600;

export function ChartPanel({ title, legend, wide = false, waiting = "", ...chart }: PanelProps): VNode {
  const [table, setTable] = useState(false);
  return (
    <figure class={`card ${wide ? "two-wide" : ""}`} aria-label={`${chart.label} chart`}>
      <header>
        <h3>{title}</h3>
        <span class="legend">
          {legend.map(({ name, colour, text, live }) => (
            <span key={name}>
              <i class={`key-${colour}`} />
              <span class="t3">{name}</span> <b {...live}>{text}</b>
            </span>
          ))}
        </span>
        <Button slim kind="quiet" icon="table-2" name={table ? `View ${chart.label} as chart` : `View ${chart.label} as table`} class="twin-button" more={{ "aria-pressed": table }} onClick={() => setTable(!table)} />
      </header>
      {table ? (
        <Twin {...chart} />
      ) : waiting ? (
        <div class="plot">
          <div class="waiting">{waiting}</div>
        </div>
      ) : (
        <Chart {...chart} />
      )}
    </figure>
  );
}

function Twin({ label, series, data, value }: ChartProps): VNode {
  const { times, values } = data.columns;
  const shown = times.map((at, row) => ({ at, row })).slice(-MOST_ROWS).reverse();
  return (
    <div class="twin" tabIndex={0} role="region" aria-label={`${label} as table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map((one) => (
              <th key={one.name} scope="col">
                {one.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map(({ at, row }) => {
            const empty = values.every((column) => column[row] == null);
            return (
              <tr key={at}>
                <td>
                  <time dateTime={iso(at)}>{clock(at)}</time>
                </td>
                {empty ? <td colSpan={series.length}>no data</td> : values.map((column, index) => <td key={series[index]?.name}>{column[row] == null ? "—" : value(column[row] as number)}</td>)}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
