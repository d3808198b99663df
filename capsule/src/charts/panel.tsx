/** A chart in a card: title, legend with the values now or at the cursor, and the same data as a table and as CSV. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { csv } from "../core/text/csv";
import { marksNear } from "../core/charts/chart-marks";
import { age, iso, shortDuration, t } from "../core/text";
import { sampleRow, tableRows } from "../core/charts/window";
import { Button, Icon, lazy, MenuButton, type MenuItem, type SampleAttributes } from "../ui";
import { useIsPhone } from "../ui/use-is-phone";
import { downloadText } from "../ui/download";
import { chartWith } from "./chart";
import { rangeText, timeText } from "./tooltip";
import type { ChartProps } from "./types";

export type { ChartData, ChartGroup, ChartSeries, Colour } from "./types";

const Chart = lazy<ChartProps>(t`the charts`, async () => chartWith((await import("uplot")).default), null, "plot");

export interface LegendEntry {
  /** The newest value. */
  value: number | null;
  live: SampleAttributes;
  /** The age of the value in seconds, if it is too old to be current. */
  ageS?: number | null;
}

export interface PanelProps extends ChartProps {
  title: ComponentChildren;
  /** One entry for each series, in order. */
  legend: readonly LegendEntry[];
  wide?: boolean;
  /** Shown instead of an empty plot. */
  waiting?: ComponentChildren;
  /** The reason why the plot does not have the requested data, shown over the plot. */
  over?: ComponentChildren;
  /** Series names for the CSV file, in order. */
  columns: readonly string[];
  /** Further menu items. */
  more?: readonly MenuItem[];
}

export function ChartPanel({ title, legend, wide = false, waiting = null, over = null, columns, more = [], ...chart }: PanelProps) {
  const [table, setTable] = useState(false);
  const phone = useIsPhone();
  const tableToggle: MenuItem = {
    label: table ? t`View as chart` : t`View as table`,
    ...(phone ? {} : { hint: "v" }),
    icon: "table-2",
    run: () => setTable(!table),
  };
  return (
    <figure
      class={`card ${wide ? "two-wide" : ""}`}
      aria-label={t`${chart.label} chart`}
      onKeyDown={(event) => {
        if (event.key !== "v" || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
        event.preventDefault();
        setTable(!table);
      }}
    >
      <header>
        <h3>{title}</h3>
        <Legend chart={chart} legend={legend} />
        {table && (
          <Button
            slim
            kind="quiet"
            icon="table-2"
            name={t`View ${chart.label} as chart`}
            more={{ "aria-pressed": true, "aria-keyshortcuts": "v" }}
            onClick={() => setTable(false)}
          />
        )}
        <MenuButton
          label={t`${chart.label}, more`}
          class="quiet slim only-icon chart-menu"
          groups={[
            [
              tableToggle,
              {
                label: t`Download as CSV`,
                icon: "download",
                run: () => downloadText(csv(csvRows(chart, columns)), `${chart.label.replaceAll(/[^\w.-]+/g, "-")}.csv`, "text/csv"),
              },
            ],
            more,
          ]}
        >
          <Icon name="ellipsis" size="small" />
        </MenuButton>
      </header>
      {waiting ? <div class="plot">{waiting}</div> : table ? <DataTable {...chart} /> : <Chart {...chart} />}
      {over}
    </figure>
  );
}

/** A separate component, so that a moving pointer redraws the legend and not the card. */
function Legend({ chart: { series, data, group, words }, legend }: { chart: ChartProps; legend: readonly LegendEntry[] }) {
  const at = group.cursor.value;
  const { times, values } = data.columns;
  const newest = at === null || at < data.from || at > data.to;
  const shown = newest ? legend.map(({ value }) => value) : values.map((column) => column[sampleRow(times, column, at, data.gapS)] ?? null);
  const texts = words.row(shown);
  return (
    <span class="legend">
      {series.map(({ name, colour }, index) => {
        const { live, ageS = null } = legend[index] ?? {};
        return (
          <span key={name} class={newest && ageS !== null ? "dimmed" : ""}>
            <i class={`key-${colour}`} />
            <span class="t3">{name}</span>{" "}
            <b {...live}>{newest && ageS !== null ? t`${texts[index] ?? ""}, ${shortDuration(ageS)} ago` : texts[index]}</b>
          </span>
        );
      })}
    </span>
  );
}

/** All shown data as measured; times without samples have no row. */
function csvRows({ data, group, series }: ChartProps, names: readonly string[]): (string | number | null)[][] {
  const { columns, band, from, to } = data;
  const heads = series.flatMap((_, index) =>
    band ? ["avg", "min", "max"].map((what) => `${names[index]} ${what}`) : [names[index] ?? ""],
  );
  const measured = tableRows(columns, from, to, Infinity).flatMap((one) => ("row" in one ? [one.row] : []));
  const rows = measured.map((row, place) => {
    const at = columns.times[row] as number;
    const cells = columns.values.flatMap((column, index) =>
      band ? [column[row], band.min[index]?.[row], band.max[index]?.[row]] : [column[row]],
    );
    const after = columns.times[measured[place + 1] ?? -1] ?? at + 1;
    const marks = marksNear(group.marks, (at + after) / 2, (after - at) / 2).map((mark) => mark.text);
    return [iso(at), ...cells.map((cell) => cell ?? null), marks.join("; ")];
  });
  return [["time", ...heads, "marks"], ...rows];
}

/** All rows of the window, newest first. A gap is one row. */
function DataTable({ label, series, data, words, group }: ChartProps) {
  const { columns, band, from, since, to, gapS } = data;
  const { times, values } = columns;
  const rows = tableRows(columns, from, to, gapS, since).map((one) => ({
    ...one,
    at: "row" in one ? (times[one.row] as number) : one.gap.from,
  }));
  const shown = rows.map((one, place) => ({ ...one, next: rows[place + 1]?.at ?? to })).reverse();
  return (
    <div class="twin" tabIndex={0} role="region" aria-label={t`${label} as table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t`Time`}</th>
            {series.map((one) => (
              <th key={one.name} scope="col">
                {one.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map(({ at, next, ...one }) => {
            const marks = marksNear(group.marks, (at + next) / 2, (next - at) / 2);
            const row = "row" in one ? one.row : -1;
            return (
              <tr key={`${at}${row < 0}`}>
                <td>
                  <time dateTime={iso(at)}>{timeText(at, data)}</time>
                  {"gap" in one && (
                    <>
                      {" – "}
                      <time dateTime={iso(one.gap.to)}>{timeText(one.gap.to, data)}</time>
                    </>
                  )}
                  {marks.map((mark) => (
                    <div key={mark.text} class={mark.level || "t3"}>
                      {mark.text}
                    </div>
                  ))}
                </td>
                {"gap" in one ? (
                  <td colSpan={series.length}>{t`no data ${age(one.gap.to - one.gap.from)}`}</td>
                ) : (
                  values.map((column, index) => {
                    const [low, high] = [band?.min[index]?.[row], band?.max[index]?.[row]];
                    const range = low != null && high != null ? rangeText(words, [low, high]) : "";
                    return (
                      <td key={series[index]?.name}>
                        {column[row] == null ? "—" : words.text(column[row] as number)}
                        {range && <span class="t3"> {range}</span>}
                      </td>
                    );
                  })
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
