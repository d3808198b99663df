/** The page that compares one metric of several servers: one chart, and a table of aggregates. The URL stores the choice. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import { ChartPanel, type ChartData, type ChartSeries, type Colour } from "../../charts/panel";
import { firingThreshold, worstThreshold } from "../../core/alerts/firing-thresholds";
import { aggregate, alignSeries, MAX_NODES, parseNodeIds } from "../../core/charts/compare";
import { columnLabel } from "../../core/nodes/node-tables";
import { isNetworkSeries, seriesLabel, valueFormatOf } from "../../core/charts/value-format";
import { shortDuration, t } from "../../core/text";
import { chartScaleOf } from "../../core/charts/chart-scale";
import { parseSeries } from "../../core/metrics/series";
import { LIVE_S, spanOf, timeRangeKey } from "../../core/charts/time-range";
import { fromBuckets, GAP_INTERVALS, type Cell } from "../../core/charts/window";
import { hubNow, now } from "../../state/clock";
import { Comparison } from "../../state/compare";
import { rowOf, rows } from "../../state/fleet";
import { lostSince } from "../../state/live/link";
import { metricUnits, sampleInterval } from "../../state/metrics";
import { unknownNodeLabel } from "../../state/node-label";
import { NodeDetail } from "../../state/node-detail";
import { inBits } from "../../state/preferences";
import { pageUrl, setQuery } from "../../state/router";
import { shade } from "../../state/theme";
import { Button, Empty, Glyph, sampleAttributes } from "../../ui";
import { memoryOf, type LoadState } from "../node/panels";
import { Skeleton } from "../node/skeleton";
import { useFiring } from "../node/use-firing";
import { HistoryStatus, Reading } from "../node/history-status";
import { points, RangeButtons, useGroup, useHistory, useViewKeys, shownTimeRange, WindowBar } from "../node/time-bar";

const FIRST_SERIES = "cpu.total";
/** The colours of the lines, in this order. More lines than colours are dashed. */
const COLOURS: readonly Colour[] = [1, 3, 2, 4, 6, 5];

interface Compared {
  id: string;
  name: string;
  detail: NodeDetail;
}

/** Whether the node is gone or not allowed. After any other refusal the page retries. */
const isGone = ({ failure }: NodeDetail): boolean => failure.value?.status === 404 || failure.value?.status === 403;

export function ComparePage() {
  const { query } = pageUrl.value;
  const listed = parseNodeIds(query.get("nodes")).join();
  const series = parseSeries(query.get("metric") ?? "") ? (query.get("metric") as string) : FIRST_SERIES;
  const details = useDetails(listed ? listed.split(",") : []);
  const comparison = useMemo(() => new Comparison(), []);
  const shown = shownTimeRange();
  const key = timeRangeKey(shown);
  const nodes: Compared[] = details.map((detail) => ({
    id: detail.id,
    name: detail.view.value?.name ?? (isGone(detail) ? unknownNodeLabel() : "…"),
    detail,
  }));
  const there = nodes.filter(({ detail }) => !isGone(detail));
  const ids = there.map(({ id }) => id);
  useEffect(() => {
    if (key === "live") for (const { detail } of there) void detail.fill([series]);
  }, [key, ids.join(), series]);
  useHistory(shown, `${ids.join()} ${series}`, async (window, span, most) =>
    ids.length ? comparison.load(window, span, ids, series, most) : 0,
  );
  useViewKeys();
  const group = useGroup(shown, [], "");
  const failure =
    key === "live" ? (there.find(({ detail }) => detail.fillFailure.value)?.detail.fillFailure.value ?? null) : comparison.failure.value;
  const data = dataOf(there, series, comparison);
  const unit = metricUnits().get(parseSeries(series)?.metric ?? "") ?? "";
  const words = valueFormatOf(unit, inBits() && isNetworkSeries(series));
  const heading = seriesLabel(series);
  const lines: ChartSeries[] = there.map(({ name }, index) => ({
    name,
    colour: COLOURS[index % COLOURS.length] as Colour,
    dashed: index >= COLOURS.length,
  }));
  const firing = useFiring(there.flatMap(({ detail }) => detail.view.value ?? []));
  const threshold = worstThreshold(
    there.map(
      ({ detail: { view } }) =>
        view.value &&
        firingThreshold([series], firing.get(view.value.id) ?? [], { cores: view.value.identity.cpu_cores, memory: memoryOf(view.value) }),
    ),
  );
  const live = key === "live";
  const seen = data.columns.values.some((column) => column.some((value) => value != null));
  return (
    <div class="page">
      <div class="page-head wrap">
        <div class="grow">
          <h1 tabIndex={-1}>{t`Compare`}</h1>
          <p class="meta t3">{t`One value for up to ${MAX_NODES} servers, on the same time axis.`}</p>
        </div>
        <RangeButtons view={shown} mark={<Glyph kind={lostSince.value === null ? "ok" : "stale"} label="" />} />
      </div>
      <div class="row wrap compare-bar">
        <SeriesPick series={series} details={details} />
        <NodePick chosen={ids} />
      </div>
      <WindowBar view={shown} loading={!live && data.loading && !failure} />
      <HistoryStatus
        key={key}
        failure={failure}
        reading={there.length > 0 && !live && data.loading}
        onRetry={
          live
            ? () => there.forEach(({ detail }) => detail.refill())
            : () => void comparison.load(key, spanOf(shown, hubNow(), points()), ids, series, points())
        }
      />
      {!there.length ? (
        <Empty icon="server" title={t`No servers to compare`} text={t`Add some above: each becomes a line in the chart.`} />
      ) : (
        <div class="panels compare">
          <ChartPanel
            label={heading}
            title={heading}
            wide
            series={lines}
            data={data}
            group={group}
            shade={shade.value}
            words={words}
            {...chartScaleOf(
              series,
              unit,
              Math.max(0, ...there.map(({ detail }) => (detail.view.value && memoryOf(detail.view.value)) ?? 0)) || null,
            )}
            {...(threshold && { threshold })}
            columns={there.map(({ name }) => `${name} ${series}`)}
            over={data.other && seen ? <Reading failed={failure !== null} /> : null}
            waiting={
              seen ? null : data.loading && !failure ? (
                <Skeleton what={heading} />
              ) : (
                <div class="waiting">{failure ? t`Could not be read` : t`No data in this time`}</div>
              )
            }
            legend={there.map(({ detail }) => {
              const sample = detail.view.value?.latest[series];
              return { value: sample?.value ?? null, live: sampleAttributes(series, sample), ageS: staleSeconds(detail, series) };
            })}
          />
          <section class="card" aria-label={t`Figures`}>
            <div class="facts-scroll" role="region" aria-label={t`Figures, table`} tabIndex={0}>
              {/* CSS lays out narrow rows in two lines. Without the roles, browsers no longer present such rows as table rows. */}
              <table class="facts-table" role="table">
                <thead role="rowgroup">
                  <tr role="row">
                    {[t`Server`, t`Now`, t`Low`, t`Mean`, t`High`, ""].map((head, index) => (
                      <th key={head} scope="col" role="columnheader" class={index > 0 ? "num" : ""}>
                        {head || <span class="hidden-text">{t`Remove`}</span>}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody role="rowgroup">
                  {nodes.map((node) => (
                    <AggregateRow
                      key={node.id}
                      node={node}
                      line={lines[there.indexOf(node)]}
                      series={series}
                      text={words.text}
                      data={data}
                      index={there.indexOf(node)}
                      chosen={details.map(({ id }) => id)}
                    />
                  ))}
                </tbody>
              </table>
            </div>
          </section>
        </div>
      )}
    </div>
  );
}

/** Seconds since the newest sample of a series; null if the sample is current or there is none. */
function staleSeconds({ view }: NodeDetail, series: string): number | null {
  const sample = view.value?.latest[series];
  if (!view.value || sample?.value == null) return null;
  return rowOf(view.value, now.value).old ? Math.max(0, now.value - sample.at) : null;
}

/** One NodeDetail for each id. It is kept while the id is listed, so that adding another server does not load it again. */
function useDetails(ids: readonly string[]): readonly NodeDetail[] {
  const known = useRef(new Map<string, NodeDetail>());
  const details = ids.map((id) => {
    const detail = known.current.get(id) ?? new NodeDetail(id);
    known.current.set(id, detail);
    return detail;
  });
  useEffect(() => {
    for (const [id, detail] of known.current) {
      if (ids.includes(id)) continue;
      detail.close();
      known.current.delete(id);
    }
  }, [ids.join()]);
  useEffect(
    () => () => {
      for (const detail of known.current.values()) detail.close();
      known.current.clear();
    },
    [],
  );
  return details;
}

function dataOf(nodes: readonly Compared[], series: string, comparison: Comparison): ChartData & LoadState {
  const shown = shownTimeRange();
  const key = timeRangeKey(shown);
  const interval = sampleInterval(parseSeries(series)?.metric ?? "");
  const limit = interval * GAP_INTERVALS;
  const apart = nodes.map(({ detail }) => detail.view.value?.created_at ?? Infinity);
  const since = Math.min(...apart);
  const past = comparison.past.value;
  const window = `${key} ${series}`;
  const fits = past !== null && past.series === series;
  if (key === "live" || (shown.zoom && shown.range === "live" && !(fits && past.key === key))) {
    for (const { detail } of nodes) void detail.version.value;
    // The window ends with the newest sample of any node. If no node sends, it ends now.
    const newest = Math.max(0, ...nodes.map(({ detail }) => detail.view.value?.latest[series]?.at ?? 0));
    const until = now.value - newest < 3 * interval ? newest : hubNow();
    const columns = alignSeries(
      nodes.map(({ detail }) => {
        const { times, values } = detail.window.columns([series], until, interval);
        return { times, column: values[0] ?? [] };
      }),
      interval,
    );
    const { from, to } = shown.zoom ?? { from: until - LIVE_S, to: until };
    return {
      columns,
      from,
      to,
      since,
      apart,
      gapS: shown.zoom ? Infinity : Math.max(...nodes.map(({ detail }) => detail.window.gapLimit([series], interval))),
      window,
      loading: shown.zoom !== null,
      other: false,
    };
  }
  if (!fits)
    return {
      columns: { times: [], values: nodes.map(() => []) },
      ...spanOf(shown, hubNow(), points()),
      since,
      apart,
      gapS: Infinity,
      window,
      loading: true,
      other: true,
    };
  const part = (what: "avg" | "min" | "max"): Cell[][] =>
    nodes.map(({ id }) => past.nodes[id]?.[series]?.[what] ?? past.times.map(() => null));
  const { times, values } = fromBuckets(
    { times: past.times, values: [...part("avg"), ...part("min"), ...part("max")] },
    past.step,
    interval,
  );
  const count = nodes.length;
  const loading = past.key !== key || nodes.some(({ id }) => !past.nodes[id]);
  return {
    columns: { times, values: values.slice(0, count) },
    ...(past.step > interval ? { band: { min: values.slice(count, 2 * count), max: values.slice(2 * count) } } : {}),
    ...(loading && shown.zoom ? shown.zoom : { from: past.from, to: past.to }),
    since,
    apart,
    gapS: loading ? Infinity : Math.max(past.step * 1.5, limit),
    window,
    loading,
    other: loading,
  };
}

interface RowProps {
  node: Compared;
  /** Undefined = the node is not in the chart. */
  line: ChartSeries | undefined;
  series: string;
  text: (value: number) => string;
  data: ChartData;
  index: number;
  chosen: readonly string[];
}

function AggregateRow({ node: { id, name, detail }, line, series, text, data, index, chosen }: RowProps) {
  const view = detail.view.value;
  const { low, mean, high } =
    index < 0 ? aggregate([]) : aggregate(data.columns.values[index] ?? [], data.band?.min[index], data.band?.max[index]);
  const row = view && rowOf(view, now.value);
  const sample = view?.latest[series];
  const old = staleSeconds(detail, series);
  const shown = (value: number | null | undefined): string => (value == null ? "—" : text(value));
  return (
    <tr role="row" class={row?.old ? "dimmed" : ""}>
      <td role="cell">
        <span class="row">
          {line && <i class={`swatch key-${line.colour} ${line.dashed ? "dashed" : ""}`} />}
          <Glyph kind={isGone(detail) ? "fail" : (row?.health ?? "wait")} />
          {isGone(detail) ? (
            <span class="t3 cut">{name}</span>
          ) : (
            <a class="accent cut" title={name} href={`/n/${id}`}>
              {name}
            </a>
          )}
        </span>
      </td>
      <td role="cell" class="num">
        {old === null ? shown(sample?.value) : t`${shown(sample?.value)}, ${shortDuration(old)} ago`}
      </td>
      <td role="cell" class="num">
        {shown(low)}
      </td>
      <td role="cell" class="num">
        {shown(mean)}
      </td>
      <td role="cell" class="num">
        {shown(high)}
      </td>
      <td role="cell" class="num">
        <Button
          slim
          kind="quiet"
          icon="x"
          name={t`Remove ${name} from the comparison`}
          onClick={() => setQuery({ nodes: chosen.filter((one) => one !== id).join() })}
        />
      </td>
    </tr>
  );
}

/** A choice of all series of these nodes, by family. */
function SeriesPick({ series, details }: { series: string; details: readonly NodeDetail[] }) {
  const known = new Set<string>([series]);
  for (const detail of details) for (const name of Object.keys(detail.view.value?.latest ?? {})) known.add(name);
  const order = [...metricUnits().keys()];
  const placed = [...known]
    .map((name) => ({ name, metric: parseSeries(name)?.metric ?? "" }))
    .filter(({ metric }) => order.includes(metric));
  placed.sort((a, b) => order.indexOf(a.metric) - order.indexOf(b.metric) || a.name.localeCompare(b.name, "en", { numeric: true }));
  const families = [...new Set(placed.map(({ metric }) => metric.split(".")[0] ?? ""))];
  return (
    <select class="input" aria-label={t`Value`} value={series} onChange={(event) => setQuery({ metric: event.currentTarget.value })}>
      {families.map((family) => (
        <optgroup key={family} label={columnLabel(family)}>
          {placed
            .filter(({ metric }) => (metric.split(".")[0] ?? "") === family)
            .map(({ name }) => (
              <option key={name} value={name}>
                {seriesLabel(name)}
              </option>
            ))}
        </optgroup>
      ))}
    </select>
  );
}

function NodePick({ chosen }: { chosen: readonly string[] }) {
  const left = rows.value.map(({ node }) => node).filter(({ id }) => !chosen.includes(id));
  left.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const full = chosen.length >= MAX_NODES;
  return (
    <select
      class="input"
      aria-label={t`Add a server`}
      value=""
      disabled={full || !left.length}
      onChange={(event) => {
        const id = event.currentTarget.value;
        if (id) setQuery({ nodes: [...chosen, id].join() });
        event.currentTarget.value = "";
      }}
    >
      <option value="">{full ? t`${MAX_NODES} servers at most` : left.length ? t`Add a server…` : t`No other server`}</option>
      {left.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </select>
  );
}
