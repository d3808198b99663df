/** Every value that a node measures, with a chart of the one that is picked. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { columnWords } from "../../core/facts-table";
import { wordingOf } from "../../core/legend";
import { measureGroups, quantity } from "../../core/measures";
import { parseSeries } from "../../core/series";
import { plural } from "../../core/units";
import type { View } from "../../core/view";
import { metricUnits } from "../../state/metrics";
import type { NodeDetail } from "../../state/node";
import type { NodeView } from "../../state/types";
import { TextField } from "../../ui/field";
import { liveAttributes } from "../../ui/live";
import { Empty } from "../../ui/parts";
import { HistoryFailure, usePanels } from "./overview";
import { OnePanel } from "./panels";
import { WindowBar } from "./timeline";

export function Measures({ detail, node: view, shown }: { detail: NodeDetail; node: NodeView; shown: View }): VNode {
  const [words, setWords] = useState("");
  const [picked, setPicked] = useState("");
  void detail.version.value;
  const units = metricUnits();
  const groups = measureGroups(view.latest, units, words);
  const series = picked in view.latest ? picked : "";
  const base = usePanels({ detail, node: view, shown }, series ? [series] : []);
  const unit = units.get(parseSeries(series)?.metric ?? "") ?? "";
  return (
    <div class="stack">
      {series && <WindowBar view={shown} loading={false} />}
      {series && <HistoryFailure detail={detail} shown={shown} names={[series]} />}
      {series && (
        <div class="panels">
          <OnePanel {...base} series={series} words={wordingOf(unit)} />
        </div>
      )}
      <section class="card" aria-label="All values">
        <header>
          <h3>All values</h3>
          <span class="t3 meta">{plural(Object.keys(view.latest).length, "series", "series")}; pick one for its chart</span>
        </header>
        <TextField class="facts-search" label="Search in values" value={words} onText={setWords} type="search" input={{ placeholder: "disk sda", spellcheck: false }} />
        {!groups.length && <Empty icon="search" title={words ? "Nothing fits the search" : "No values yet"} text={words ? "Names are those of the catalogue, such as disk.read or memory.used." : "They come within seconds of the first contact."} />}
        <div class="measure-groups">
          {groups.map((group) => (
            <div key={group.family} class="measure-group">
              <h4>{columnWords(group.family)}</h4>
              <ul>
                {group.measures.map((measure) => (
                  <li key={measure.series}>
                    <button type="button" aria-pressed={measure.series === series} onClick={() => setPicked(measure.series === series ? "" : measure.series)}>
                      <span class="cut" title={measure.series}>{measure.name}</span>
                      <b class="num" {...liveAttributes(measure.series, measure.sample)}>
                        {quantity(measure.sample.value, measure.unit)}
                      </b>
                    </button>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </div>
      </section>
    </div>
  );
}
