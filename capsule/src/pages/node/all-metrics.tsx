/** The tab of all metrics: every value of a node, and a chart for each selected metric. */

import { useState } from "preact/hooks";
import { columnLabel } from "../../core/nodes/node-tables";
import { isNetworkSeries, valueFormatOf } from "../../core/charts/value-format";
import { metricGroups, formatValue } from "../../core/metrics/metric-list";
import { network, plural, t } from "../../core/text";
import { parseSeries } from "../../core/metrics/series";
import type { TimeRange } from "../../core/charts/time-range";
import { metricUnits } from "../../state/metrics";
import type { NodeDetail } from "../../state/node-detail";
import { inBits } from "../../state/preferences";
import { pageUrl, setQuery } from "../../state/router";
import type { NodeView } from "../../state/types";
import { Button, Empty, sampleAttributes, TextField } from "../../ui";
import { RenderInView } from "../../ui/render-in-view";
import { HistoryFailure, usePanels } from "./overview";
import { OnePanel } from "./panels";
import { WindowBar } from "./time-bar";

/** The most charts and the longest part of the URL for them, because some proxies refuse a longer URL. Above it the first charts are removed. */
const MOST_CHARTS = 100;
const MOST_CHARS = 5000;

/** The selected metrics, which the URL stores. */
const selectedMetrics = (): string[] => [...new Set(pageUrl.value.query.getAll("chart"))];

function toggleMetric(series: string): void {
  const before = pageUrl.peek().query.getAll("chart");
  const next = before.includes(series) ? before.filter((one) => one !== series) : [...before, series].slice(-MOST_CHARTS);
  while (encodeURIComponent(next.join("&chart=")).length > MOST_CHARS) next.shift();
  setQuery({ chart: next });
}

export function AllMetrics({ detail, node: view, shown }: { detail: NodeDetail; node: NodeView; shown: TimeRange }) {
  const [words, setWords] = useState("");
  void detail.version.value;
  const units = metricUnits();
  const drawn = selectedMetrics().filter((series) => Object.hasOwn(view.latest, series));
  const base = usePanels({ detail, node: view, shown }, drawn);
  return (
    <div class="stack">
      {drawn.length > 0 && (
        <>
          <WindowBar view={shown} loading={false} />
          <HistoryFailure detail={detail} shown={shown} names={drawn} />
          <div class="panels">
            {drawn.map((series) => (
              <RenderInView
                key={series}
                draw={() => (
                  <OnePanel
                    {...base}
                    series={series}
                    words={valueFormatOf(units.get(parseSeries(series)?.metric ?? "") ?? "", inBits() && isNetworkSeries(series))}
                    wide={drawn.length === 1}
                  />
                )}
              />
            ))}
          </div>
        </>
      )}
      <RenderInView draw={() => <List view={view} drawn={drawn} words={words} onWords={setWords} />} />
    </div>
  );
}

interface ListProps {
  view: NodeView;
  drawn: readonly string[];
  words: string;
  onWords: (words: string) => void;
}

function List({ view, drawn, words, onWords }: ListProps) {
  const groups = metricGroups(view.latest, metricUnits(), words);
  return (
    <section class="card" aria-label={t`Metrics`}>
      <header>
        <h3 class="nowrap">{t`Metrics`}</h3>
        <span class="t3 meta">{t`${plural(Object.keys(view.latest).length, "metric")}. Click one to chart it.`}</span>
        {drawn.length > 1 && (
          <Button slim class="end" onClick={() => setQuery({ chart: null })}>
            {t`Remove ${plural(drawn.length, "chart")}`}
          </Button>
        )}
      </header>
      <TextField
        class="facts-search"
        label={t`Search in values`}
        value={words}
        onText={onWords}
        type="search"
        code
        input={{ placeholder: "disk sda" }}
      />
      {!groups.length && (
        <Empty
          icon="search"
          title={words ? t`Nothing matches the search` : t`No values yet`}
          text={words ? t`Search by metric name, such as disk.read or memory.used.` : t`They appear within seconds of the first contact.`}
        />
      )}
      <div class="measure-groups">
        {groups.map((group) => (
          <div key={group.family} class="measure-group">
            <h4>{columnLabel(group.family)}</h4>
            <ul>
              {group.values.map((measure) => (
                <li key={measure.series}>
                  <button type="button" aria-pressed={drawn.includes(measure.series)} onClick={() => toggleMetric(measure.series)}>
                    <span class="cut" title={measure.series}>
                      {measure.name}
                    </span>
                    <b class="num" {...sampleAttributes(measure.series, measure.sample)}>
                      {inBits() && isNetworkSeries(measure.series) && measure.unit === "bytes/s"
                        ? network(measure.sample.value, true)
                        : formatValue(measure.sample.value, measure.unit)}
                    </b>
                  </button>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </div>
    </section>
  );
}
