import type { Signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { eventText } from "../../core/events/event-text";
import { levelOf, usedShare } from "../../core/nodes/node-status";
import { bootTimes, chartMarks, type ChartMark } from "../../core/charts/chart-marks";
import { count, percent, pluralWord, size, t, tElements, timeOrDate } from "../../core/text";
import { labelled, seriesName } from "../../core/metrics/series";
import { LIVE_S, spanOf, timeRangeKey, type TimeRange } from "../../core/charts/time-range";
import { dayStart, hubNow } from "../../state/clock";
import { chosenMoment } from "../../state/moment";
import { events } from "../../state/events";
import { nodeName } from "../../state/fleet";
import type { NodeDetail } from "../../state/node-detail";
import type { NodeView } from "../../state/types";
import { Glyph, Mark, Meter, sampleAttributes } from "../../ui";
import { Time } from "../../ui/time";
import { PastProcesses, TopProcesses } from "./tables";
import { MarksLegend } from "./marks-legend";
import {
  CPU_LINES,
  CpuPanel,
  devicesOf,
  diskLines,
  DiskPanel,
  interfacesOf,
  LOAD_LINES,
  LoadPanel,
  MEMORY_LINES,
  MemoryPanel,
  networkLines,
  NetworkPanel,
  sensorLines,
  TemperaturePanel,
  useChoice,
  type PanelProps,
} from "./panels";
import { HistoryStatus } from "./history-status";
import { useFiring } from "./use-firing";
import { points, useGroup, useHistory, WindowBar } from "./time-bar";

const MINUTE_S = 60;

interface Props {
  detail: NodeDetail;
  node: NodeView;
  shown: TimeRange;
}

/** The marks of jobs and events in the window. They are read again only when the start of the window is in another minute. */
function useMarks({ detail, node, shown }: Props): readonly ChartMark[] {
  const span = shown.range === "live" && !shown.zoom ? { from: hubNow() - LIVE_S, to: 0 } : spanOf(shown, hubNow(), points());
  const from = Math.floor(span.from / MINUTE_S) * MINUTE_S;
  useEffect(() => void detail.loadMarks(from), [detail, from]);
  const { jobs, events: found } = detail.happened.value;
  const uptime = detail.uptime.value;
  const earlier = useMemo(() => (uptime ? bootTimes(uptime) : []), [uptime]);
  return useMemo(
    () => chartMarks(jobs, found, node.identity.booted_at, { from, to: Infinity }, earlier, uptime?.step),
    [jobs, found, node.identity.booted_at, from, earlier],
  );
}

/** Loads the data of some series and keeps it current. Returns the common properties of their charts. */
export function usePanels({ detail, node, shown }: Props, names: readonly string[]): Omit<PanelProps, "lines"> {
  const wanted = names.join();
  const key = timeRangeKey(shown);
  useEffect(() => {
    if (key === "live") void detail.fill(names);
  }, [detail, key, wanted]);
  useHistory(shown, wanted, async (window, span, most) => {
    await detail.load(window, span, names, most);
    return detail.past.peek()?.step ?? 0;
  });
  void detail.version.value;
  const group = useGroup(shown, useMarks({ detail, node, shown }), node.identity.timezone);
  return { detail, node, shown, until: detail.until.value, group, firing: useFiring([node]).get(node.id) ?? [] };
}

export function HistoryFailure({ detail, shown, names }: Omit<Props, "node"> & { names: readonly string[] }) {
  const key = timeRangeKey(shown);
  if (key === "live") return <HistoryStatus key={key} failure={detail.fillFailure.value} reading={false} onRetry={() => detail.refill()} />;
  const failure = detail.pastFailure.value;
  return (
    <HistoryStatus
      key={key}
      failure={failure}
      reading={detail.past.value?.key !== key}
      onRetry={() => void detail.load(key, spanOf(shown, hubNow(), points()), names, points())}
    />
  );
}

export function Overview(props: Props) {
  const { detail, node, shown } = props;
  const interfaces = interfacesOf(node);
  const devices = devicesOf(node);
  const [network, setNetwork] = useChoice(interfaces);
  const [device, setDevice] = useChoice(devices);
  const sensors = sensorLines(node);
  const lines = [
    ...CPU_LINES,
    ...MEMORY_LINES,
    ...LOAD_LINES,
    ...(network ? networkLines(network) : []),
    ...(device ? diskLines(device) : []),
    ...sensors,
  ];
  const names = lines.map((line) => line.series);
  const base = usePanels(props, names);
  const past = shown.zoom !== null;
  const few = node.identity.cpu_cores <= FEW_CORES;
  const loading = past && detail.past.value?.key !== timeRangeKey(shown) && !detail.pastFailure.value;
  return (
    <div class="stack">
      <WindowBar view={shown} loading={loading} />
      <HistoryFailure detail={detail} shown={shown} names={names} />
      <div class="panels">
        <CpuPanel {...base} />
        {few ? <MemoryPanel {...base} /> : <Cores view={node} past={past} />}
        <ProcessesThen detail={detail} shown={shown} cursor={base.group.cursor} />
        {!few && <MemoryPanel {...base} />}
        <LoadPanel {...base} />
        {network && <NetworkPanel {...base} names={interfaces} chosen={network} onPick={setNetwork} />}
        {device && <DiskPanel {...base} names={devices} chosen={device} onPick={setDevice} />}
        {sensors.length > 0 && <TemperaturePanel {...base} />}
        <Filesystems view={node} wide={!sensors.length} past={past} />
        <Tcp view={node} past={past} />
        <RecentEvents id={node.id} />
      </div>
      <MarksLegend marks={base.group.marks} />
    </div>
  );
}

/** The processes at the moment that the user chose. Without such a moment: in a fixed window those at the last place of the cursor, at first at the end of the window; otherwise the current processes. */
function ProcessesThen({ detail, shown: { zoom }, cursor }: Pick<Props, "detail" | "shown"> & { cursor: Signal<number | null> }) {
  const seen = useRef<number | null>(null);
  const chosen = chosenMoment();
  if (!zoom) seen.current = null;
  else if (cursor.value !== null) seen.current = cursor.value;
  const at = chosen ?? (zoom && (seen.current ?? zoom.to));
  return at === null ? <TopProcesses detail={detail} /> : <PastProcesses id={detail.id} at={at} wide pinned={chosen !== null} />;
}

/** The mark of cards that show the newest values while the charts show the past. */
const Now = ({ past }: { past: boolean }) => (past ? <span class="tag">{t`now`}</span> : null);

/** The card of cores is shown only for more cores than this: with fewer cores it would be nearly empty. */
const FEW_CORES = 8;
const MANY_CORES = 64;

const COLUMNS = 8;
const HOT_PERCENT = 85;

/** One cell for each core. Arrow keys or the pointer select a core, whose value is shown below the cells. */
function Cores({ view, past }: { view: NodeView; past: boolean }) {
  const [looked, setLooked] = useState(-1);
  const cores = [...labelled(view.latest, "cpu.core")].sort((a, b) => Number(a[0]) - Number(b[0]));
  if (!cores.length) return null;
  const busiest = cores.reduce((best, one) => ((one[1].value ?? -1) > (best[1].value ?? -1) ? one : best));
  const many = cores.length > MANY_CORES;
  const words = t`Per-core CPU, ${cores.length} threads, busiest core ${busiest[0]} at ${percent(busiest[1].value)}. Arrow keys read each core.`;
  const shown = cores[looked] ?? busiest;
  const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS };
  return (
    <section class="card" aria-label={t`Cores`}>
      <header>
        <h3>{t`Cores`}</h3>
        <Now past={past} />
        <span class="t3 meta end">{t`${cores.length} ${pluralWord(cores.length, "thread")}`}</span>
      </header>
      <div
        class={`cores ${many ? "many" : ""}`}
        role="group"
        tabIndex={0}
        aria-label={words}
        style={cores.length < COLUMNS ? { gridTemplateColumns: `repeat(${cores.length}, 1fr)` } : {}}
        onMouseLeave={() => setLooked(-1)}
        onBlur={() => setLooked(-1)}
        onKeyDown={(event) => {
          const step = steps[event.key];
          if (step === undefined) return;
          event.preventDefault();
          setLooked(looked < 0 ? 0 : Math.max(0, Math.min(cores.length - 1, looked + step)));
        }}
      >
        {cores.map(([core, sample], index) => (
          <i
            key={core}
            class={`${(sample.value ?? 0) > HOT_PERCENT ? "hot" : ""} ${index === looked ? "looked" : ""}`}
            style={{ "--heat": String(Math.round(sample.value ?? 0)) }}
            onMouseEnter={() => setLooked(index)}
            {...sampleAttributes(seriesName("cpu.core", "core", core), sample)}
          />
        ))}
      </div>
      <div class="cores-foot">
        {looked < 0 ? t`busiest` : t`core`}{" "}
        <b role={looked < 0 ? undefined : "status"}>
          #{shown[0]} {percent(shown[1].value)}
        </b>
        <span class="end">
          {tElements`total ${<b {...sampleAttributes("cpu.total", view.latest["cpu.total"])}>{percent(view.latest["cpu.total"]?.value, 1)}</b>}`}
        </span>
      </div>
    </section>
  );
}

function Filesystems({ view, wide, past }: { view: NodeView; wide: boolean; past: boolean }) {
  const sizes = labelled(view.latest, "filesystem.size");
  const free = labelled(view.latest, "filesystem.free");
  const inodes = labelled(view.latest, "filesystem.inodes_used");
  const used = [...labelled(view.latest, "filesystem.used")].sort((a, b) => a[0].localeCompare(b[0]));
  if (!used.length) return null;
  return (
    <section class={`card ${wide ? "two-wide" : ""}`} aria-label={t`Filesystems`}>
      <header>
        <h3>{t`Filesystems`}</h3>
        <Now past={past} />
      </header>
      <ul class="filesystems">
        {used.map(([mount, sample]) => {
          const series = seriesName("filesystem.used", "mount", mount);
          const part = usedShare(view.latest, series);
          const left = free.get(mount)?.value ?? null;
          const level = levelOf(view.health, "filesystem", mount);
          const nodes = inodes.get(mount)?.value ?? null;
          return (
            <li key={mount}>
              <span class="cut medium" title={mount}>
                {mount}{" "}
                <span class="t3 meta">
                  {t`${size(sample.value)} of ${size(sizes.get(mount)?.value ?? null)}`}
                  {left !== null && t`, ${size(left)} free`}
                  {nodes !== null && t`, inodes ${percent(nodes)}`}
                </span>
              </span>
              <span class={`row share ${level}`} {...sampleAttributes(series, sample)}>
                <Mark level={level} />
                {percent(part)}
              </span>
              <Meter value={part} level={level} />
            </li>
          );
        })}
      </ul>
    </section>
  );
}

const TCP_FIRST: readonly (readonly [string, string])[] = [
  ["tcp.established", t`Established`],
  ["tcp.time_wait", t`Time-wait`],
  ["tcp.listen", t`Listen`],
  ["tcp.close_wait", t`Close-wait`],
];

function Tcp({ view, past }: { view: NodeView; past: boolean }) {
  const shown = TCP_FIRST.filter(([series]) => view.latest[series]);
  if (!shown.length) return null;
  return (
    <section class="card" aria-label={t`TCP`}>
      <header>
        <h3>{t`TCP`}</h3>
        <Now past={past} />
      </header>
      <dl class="facts pad">
        {shown.map(([series, words]) => [
          <dt key={series}>{words}</dt>,
          <dd key={`${series}-value`} {...sampleAttributes(series, view.latest[series])}>
            {count(view.latest[series]?.value)}
          </dd>,
        ])}
      </dl>
    </section>
  );
}

const RECENT = 5;

function RecentEvents({ id }: { id: string }) {
  const own = events.value.filter((event) => event.node_id === id).slice(0, RECENT);
  return (
    <section class="card recent" aria-label={t`Recent events`}>
      <header>
        <h3>{t`Events`}</h3>
        <a class="accent meta end" href={`/n/${id}/events`}>
          {t`All events`}
        </a>
      </header>
      {own.length ? (
        <ul class="event-list">
          {own.map((event) => (
            <li key={event.id}>
              <Glyph kind={event.severity === "error" ? "fail" : event.severity === "warning" ? "warn" : "done"} label={event.severity} />
              <span>{eventText(event, nodeName)}</span>
              <span class="t3">
                <Time at={event.at}>{timeOrDate(event.at, dayStart.value)}</Time>
              </span>
            </li>
          ))}
        </ul>
      ) : (
        <p class="pad t3 meta">{t`No recent events`}</p>
      )}
    </section>
  );
}
