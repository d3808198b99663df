/** Every value that a node measures, with a chart of each that is picked. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { columnWords } from "../../core/facts-table";
import { ofNetwork, wordingOf } from "../../core/legend";
import { measureGroups, quantity } from "../../core/measures";
import { t } from "../../core/say";
import { parseSeries } from "../../core/series";
import { network, plural } from "../../core/units";
import type { View } from "../../core/view";
import { metricUnits } from "../../state/metrics";
import type { NodeDetail } from "../../state/node";
import { inBits } from "../../state/preferences";
import { place, setQuery } from "../../state/router";
import type { NodeView } from "../../state/types";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";
import { InSight } from "../../ui/in-sight";
import { liveAttributes } from "../../ui/live";
import { Empty } from "../../ui/parts";
import { HistoryFailure, usePanels } from "./overview";
import { OnePanel } from "./panels";
import { WindowBar } from "./timeline";

/** The first goes when there is one more, or the address grows longer than every proxy takes. */
const MOST_CHARTS = 100;
const MOST_CHARS = 5000;

/** The address holds which are drawn, so that a reload, a link and the way back show them again. */
const picked = (): string[] => [...new Set(place.value.query.getAll("chart"))];

function turn(series: string): void {
  const before = place.peek().query.getAll("chart");
  const next = before.includes(series) ? before.filter((one) => one !== series) : [...before, series].slice(-MOST_CHARTS);
  while (encodeURIComponent(next.join("&chart=")).length > MOST_CHARS) next.shift();
  setQuery({ chart: next });
}

export function Measures({ detail, node: view, shown }: { detail: NodeDetail; node: NodeView; shown: View }): VNode {
  const [words, setWords] = useState("");
  void detail.version.value;
  const units = metricUnits();
  const drawn = picked().filter((series) => Object.hasOwn(view.latest, series));
  const base = usePanels({ detail, node: view, shown }, drawn);
  return (
    <div class="stack">
      {drawn.length > 0 && (
        <>
          <WindowBar view={shown} loading={false} />
          <HistoryFailure detail={detail} shown={shown} names={drawn} />
          <div class="panels">
            {drawn.map((series) => (
              <InSight key={series} draw={() => <OnePanel {...base} series={series} words={wordingOf(units.get(parseSeries(series)?.metric ?? "") ?? "", inBits() && ofNetwork(series))} wide={drawn.length === 1} />} />
            ))}
          </div>
        </>
      )}
      <InSight draw={() => <List view={view} drawn={drawn} words={words} onWords={setWords} />} />
    </div>
  );
}

interface ListProps {
  view: NodeView;
  drawn: readonly string[];
  words: string;
  onWords: (words: string) => void;
}

function List({ view, drawn, words, onWords }: ListProps): VNode {
  const groups = measureGroups(view.latest, metricUnits(), words);
  return (
    <section class="card" aria-label={t`All values`}>
      <header>
        <h3 class="nowrap">{t`All values`}</h3>
        <span class="t3 meta">{t`${plural(Object.keys(view.latest).length, "series", "series")}; press one to show its chart, again to hide it`}</span>
        {drawn.length > 1 && (
          <Button slim class="end" onClick={() => setQuery({ chart: null })}>
            {t`Remove ${plural(drawn.length, "chart")}`}
          </Button>
        )}
      </header>
      <TextField class="facts-search" label={t`Search in values`} value={words} onText={onWords} type="search" input={{ placeholder: "disk sda", spellcheck: false }} />
      {!groups.length && <Empty icon="search" title={words ? t`Nothing matches the search` : t`No values yet`} text={words ? t`Search by metric name, such as disk.read or memory.used.` : t`They appear within seconds of the first contact.`} />}
      <div class="measure-groups">
        {groups.map((group) => (
          <div key={group.family} class="measure-group">
            <h4>{columnWords(group.family)}</h4>
            <ul>
              {group.measures.map((measure) => (
                <li key={measure.series}>
                  <button type="button" aria-pressed={drawn.includes(measure.series)} onClick={() => turn(measure.series)}>
                    <span class="cut" title={measure.series}>{measure.name}</span>
                    <b class="num" {...liveAttributes(measure.series, measure.sample)}>
                      {inBits() && ofNetwork(measure.series) && measure.unit === "bytes/s" ? network(measure.sample.value, true) : quantity(measure.sample.value, measure.unit)}
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
