import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { above, fillLevel } from "../../core/facts";
import { labelled, seriesName } from "../../core/series";
import { moment } from "../../core/time";
import { count, percent, share, size } from "../../core/units";
import { hubNow, now } from "../../state/clock";
import { events } from "../../state/events";
import type { NodeDetail, Range } from "../../state/node";
import type { NodeView } from "../../state/types";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { liveAttributes } from "../../ui/live";
import { Banner, Mark, Meter, Time } from "../../ui/parts";
import { Button } from "../../ui/button";
import { CPU_LINES, CpuPanel, devicesOf, diskLines, DiskPanel, interfacesOf, LOAD_LINES, LoadPanel, MEMORY_LINES, MemoryPanel, networkLines, NetworkPanel, sensorLines, TemperaturePanel, useChoice } from "./panels";

const SHORTEST_RELOAD_S = 10;

interface Props {
  detail: NodeDetail;
  view: NodeView;
  range: Range;
}

export function Overview({ detail, view, range }: Props): VNode {
  const interfaces = interfacesOf(view);
  const devices = devicesOf(view);
  const [network, setNetwork] = useChoice(interfaces);
  const [device, setDevice] = useChoice(devices);
  const lines = [...CPU_LINES, ...MEMORY_LINES, ...LOAD_LINES, ...(network ? networkLines(network) : []), ...(device ? diskLines(device) : []), ...sensorLines(view)];
  const names = lines.map((line) => line.series);
  const wanted = names.join();
  useEffect(() => {
    if (range === "live") {
      void detail.fill(names);
      return undefined;
    }
    let timer: ReturnType<typeof setTimeout>;
    const load = async (): Promise<void> => {
      await detail.load(range, names);
      const step = detail.past.peek()?.step ?? SHORTEST_RELOAD_S;
      timer = setTimeout(() => void load(), Math.max(SHORTEST_RELOAD_S, step) * 1000);
    };
    void load();
    return () => clearTimeout(timer);
  }, [detail, range, wanted]);
  void detail.version.value;
  // The window ends with the newest sample, so that a chart does not creep between two of them; without samples it goes on with time.
  const newest = view.latest["cpu.total"]?.at ?? 0;
  const until = now.value - newest < 3 ? newest : hubNow();
  const base = { detail, view, range, until };
  const failure = range === "live" ? null : detail.pastFailure.value;
  return (
    <>
      {failure && (
        <Banner
          kind="crit"
          alert
          mark={<Icon name="circle-alert" />}
          action={
            <Button slim icon="rotate-cw" onClick={() => void detail.load(range as Exclude<Range, "live">, names)}>
              Try again
            </Button>
          }
        >
          <b>History could not be read.</b> <span class="plain">{failure.detail}</span> <span class="mono plain">{failure.instance}</span>
        </Banner>
      )}
      <div class="panels">
        <CpuPanel {...base} />
        <Cores view={view} />
        <MemoryPanel {...base} />
        <LoadPanel {...base} />
        {network && <NetworkPanel {...base} names={interfaces} chosen={network} onPick={setNetwork} />}
        {device && <DiskPanel {...base} names={devices} chosen={device} onPick={setDevice} />}
        {sensorLines(view).length > 0 && <TemperaturePanel {...base} />}
        <Filesystems view={view} />
        <Tcp view={view} />
        <RecentEvents id={view.id} />
      </div>
    </>
  );
}

const MANY_CORES = 64;

function Cores({ view }: { view: NodeView }): VNode | null {
  const cores = [...labelled(view.latest, "cpu.core")].sort((a, b) => Number(a[0]) - Number(b[0]));
  if (!cores.length) return null;
  const busiest = cores.reduce((best, one) => ((one[1].value ?? -1) > (best[1].value ?? -1) ? one : best));
  const words = `Per-core CPU, ${cores.length} threads, busiest core ${busiest[0]} at ${percent(busiest[1].value)}`;
  return (
    <section class="card" aria-label="Cores">
      <header>
        <h3>Cores</h3>
        <span class="t3 meta end">{cores.length === 1 ? "1 thread" : `${cores.length} threads`}</span>
      </header>
      <div class={`cores ${cores.length > MANY_CORES ? "many" : ""}`} role="img" aria-label={words} style={cores.length < 8 ? { gridTemplateColumns: `repeat(${cores.length}, 1fr)` } : {}}>
        {cores.map(([core, sample]) => (
          <i key={core} class={(sample.value ?? 0) > 85 ? "hot" : ""} style={{ "--heat": String(Math.round(sample.value ?? 0)) }} title={`core ${core} ${percent(sample.value)}`} {...liveAttributes(seriesName("cpu.core", "core", core), sample)} />
        ))}
      </div>
      <div class="cores-foot">
        busiest{" "}
        <b>
          #{busiest[0]} {percent(busiest[1].value)}
        </b>
        <span class="end">
          total <b {...liveAttributes("cpu.total", view.latest["cpu.total"])}>{percent(view.latest["cpu.total"]?.value, 1)}</b>
        </span>
      </div>
    </section>
  );
}

function Filesystems({ view }: { view: NodeView }): VNode | null {
  const sizes = labelled(view.latest, "filesystem.size");
  const inodes = labelled(view.latest, "filesystem.inodes_used");
  const used = [...labelled(view.latest, "filesystem.used")].sort((a, b) => a[0].localeCompare(b[0]));
  if (!used.length) return null;
  const tight = [...inodes.values()].some((sample) => (sample.value ?? 0) >= 85);
  return (
    <section class="card" aria-label="Filesystems">
      <header>
        <h3>Filesystems</h3>
        <span class={`meta end ${tight ? "warn" : "t3"}`}>{tight ? "inodes run short" : "inodes ok"}</span>
      </header>
      <ul class="filesystems">
        {used.map(([mount, sample]) => {
          const whole = sizes.get(mount)?.value ?? null;
          const part = share(sample.value, whole);
          const level = fillLevel(part);
          const nodes = inodes.get(mount)?.value ?? null;
          return (
            <li key={mount}>
              <span class="cut medium" title={mount}>
                {mount}{" "}
                <span class="t3 meta">
                  {size(sample.value)} of {size(whole)}
                  {above(nodes, 85, 95) && `, inodes ${percent(nodes)}`}
                </span>
              </span>
              <span class={`row share ${level}`} {...liveAttributes(seriesName("filesystem.used", "mount", mount), sample)}>
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
  ["tcp.established", "Established"],
  ["tcp.time_wait", "Time-wait"],
  ["tcp.listen", "Listen"],
  ["tcp.close_wait", "Close-wait"],
];

function Tcp({ view }: { view: NodeView }): VNode | null {
  const shown = TCP_FIRST.filter(([series]) => view.latest[series]);
  if (!shown.length) return null;
  return (
    <section class="card" aria-label="TCP">
      <header>
        <h3>TCP</h3>
      </header>
      <dl class="facts pad">
        {shown.map(([series, words]) => [
          <dt key={series}>{words}</dt>,
          <dd key={`${series}-value`} {...liveAttributes(series, view.latest[series])}>
            {count(view.latest[series]?.value)}
          </dd>,
        ])}
      </dl>
    </section>
  );
}

const RECENT = 5;

function RecentEvents({ id }: { id: string }): VNode {
  const own = events.value.filter((event) => event.node_id === id).slice(0, RECENT);
  return (
    <section class="card recent" aria-label="Recent events">
      <header>
        <h3>Events</h3>
        <a class="accent meta end" href={`/n/${id}/events`}>
          All events
        </a>
      </header>
      {own.length ? (
        <ul class="event-list">
          {own.map((event) => (
            <li key={event.id}>
              <Glyph kind={event.severity === "error" ? "fail" : event.severity === "warning" ? "warn" : "done"} label={event.severity} />
              <span>{event.message}</span>
              <span class="t3">
                <Time at={event.at}>{moment(event.at, hubNow())}</Time>
              </span>
            </li>
          ))}
        </ul>
      ) : (
        <p class="pad t3 meta">Nothing lately</p>
      )}
    </section>
  );
}

