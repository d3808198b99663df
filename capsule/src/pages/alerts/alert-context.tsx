/** What was around an alert: its value half an hour before and after, with the threshold, and the processes of that minute. */

import { alertChart, chartTitle } from "../../core/alerts/firing-thresholds";
import { alertValue } from "../../core/alerts/alert-values";
import { linePath } from "../../core/jobs/job-load";
import { clock, percent, size, t, timeOrDate } from "../../core/text";
import { rules } from "../../state/alert-calls";
import { dayStart, hubNow, now } from "../../state/clock";
import { loadNode, loadSeries } from "../../state/job-load";
import { metricUnits } from "../../state/metrics";
import { nodeLabel } from "../../state/node-label";
import { loadPastProcesses } from "../../state/queries";
import type { AlertView } from "../../state/types";
import { Failure } from "../../ui";
import { useAnswer } from "../use-answer";

/** Seconds before and after the start of the alert. */
const AROUND_S = 1800;
const MINUTE_S = 60;
const MOST_PROCESSES = 5;
/** Where the words of the start may stand, in percent of the axis. */
const [MARK_FROM, MARK_TO] = [30, 75];
const MOST_ALERTS = 3;
/** A chart that grows is read again this often. */
const EVERY_S = 30;

async function read(alert: AlertView, node: string) {
  const view = await loadNode(node);
  const expr = rules.peek()?.find(({ id }) => id === alert.rule_id)?.expr ?? "";
  const { level, object, threshold } = alert;
  const server = { cores: view.identity.cpu_cores, memory: view.identity.memory_bytes || null };
  const chart = alertChart({ expr, object, level, threshold }, Object.keys(view.latest), server);
  const window = { from: Math.floor(alert.since_at - AROUND_S), to: Math.ceil(Math.min(hubNow(), alert.since_at + AROUND_S)) };
  const past = chart && (await loadSeries(node, chart.series, window));
  const then = (await loadPastProcesses(node, Math.floor(alert.since_at) + MINUTE_S - 1)).reading;
  // The hub has no processes of a time before the node came. While the alert fires, those of now may tell the cause.
  const processes = then ?? (alert.state === "firing" ? (await loadPastProcesses(node, Math.floor(hubNow()))).reading : null);
  return { chart, window, past, processes, ofThen: then !== null };
}

/** `alert` is about a node. */
function AlertContext({ alert, node }: { alert: AlertView; node: string }) {
  const grows = now.value < alert.since_at + AROUND_S ? Math.floor(now.value / EVERY_S) : 0;
  const { found, failure, load } = useAnswer(() => read(alert, node), [alert.id, node, rules.value?.length, grows]);
  if (failure) return <Failure title={t`What was around this alert could not be read`} error={failure} onRetry={load} />;
  if (!found) return null;
  const what = [alert.rule_name, alert.object].filter(Boolean).join(" ");
  return (
    <section class="alert-context" aria-label={t`Around ${what} on ${nodeLabel(node)}`}>
      {found.chart && found.past && <ValueChart {...found} chart={found.chart} past={found.past} alert={alert} />}
      <div class="stack">
        {!found.ofThen && <p class="t3 meta">{t`The processes of ${timeOrDate(alert.since_at, dayStart.value)} are not known.`}</p>}
        {found.processes && <Processes reading={found.processes} />}
        <p class="meta">
          <a href={`/n/${node}/changes?at=${Math.floor(alert.since_at)}${found.chart ? `&metric=${found.chart.metric}` : ""}`}>
            {t`What changed in the ten minutes before?`}
          </a>
        </p>
      </div>
    </section>
  );
}

/** The surroundings of the first alerts of an incident that are about a node. */
export function IncidentContext({ alerts }: { alerts: readonly AlertView[] }) {
  return (
    <>
      {alerts
        .slice(0, MOST_ALERTS)
        .map((alert) => alert.node_id !== null && <AlertContext key={alert.id} alert={alert} node={alert.node_id} />)}
    </>
  );
}

type Found = Awaited<ReturnType<typeof read>>;

function ValueChart({
  chart,
  past,
  window,
  alert,
}: Pick<Found, "window"> & { chart: NonNullable<Found["chart"]>; past: NonNullable<Found["past"]>; alert: AlertView }) {
  const unit = metricUnits().get(chart.metric) ?? "";
  const values = past.series[chart.series]?.avg ?? [];
  const measured = values.filter((value) => value !== null);
  const most = measured.length ? Math.max(...measured) : null;
  const top = unit === "percent" ? 100 : Math.max(most ?? 0, chart.at ?? 0, 1e-9) * 1.15;
  const words = (value: number | null): string => alertValue(value, unit);
  const began = ((alert.since_at - window.from) / (window.to - window.from)) * 100;
  return (
    <div>
      <p class="row meta">
        <span class="t3 cut grow" title={chart.series}>
          {chartTitle(chart.series)}
        </span>
        <span class="num">
          {t`max ${words(most)}`}
          {chart.at !== null && ` · ${t`limit ${words(chart.at)}`}`}
        </span>
      </p>
      <svg
        class={`load-line alert-line ${alert.level === "critical" ? "crit" : "warn"}`}
        viewBox="0 0 100 100"
        preserveAspectRatio="none"
        role="img"
        aria-label={t`${chartTitle(chart.series)}, at most ${words(most)}, from ${clock(window.from)} to ${clock(window.to)}`}
      >
        <rect x={began} y="0" width={Math.max(0.5, 100 - began)} height="100" />
        {chart.at !== null && chart.at <= top && (
          <line x1="0" x2="100" y1={100 - (chart.at / top) * 100} y2={100 - (chart.at / top) * 100} vector-effect="non-scaling-stroke" />
        )}
        <path d={linePath(past.times, past.step, values, window, top)} vector-effect="non-scaling-stroke" />
      </svg>
      <p class="t3 meta axis-mark">
        <span>{clock(window.from, false)}</span>
        {/* near an end its own time would be covered */}
        <span style={`left: ${Math.min(MARK_TO, Math.max(MARK_FROM, began))}%`}>{t`began ${clock(alert.since_at, false)}`}</span>
        <span>{clock(window.to, false)}</span>
      </p>
    </div>
  );
}

function Processes({ reading }: { reading: NonNullable<Found["processes"]> }) {
  return (
    <table class="facts-table">
      <caption class="t3 meta">{t`Processes at ${timeOrDate(reading.taken_at, dayStart.value)}`}</caption>
      <thead>
        <tr>
          <th scope="col">{t`Process`}</th>
          <th scope="col" class="right">{t`CPU`}</th>
          <th scope="col" class="right">{t`Memory`}</th>
        </tr>
      </thead>
      <tbody>
        {reading.by_cpu.slice(0, MOST_PROCESSES).map(({ name, user, cpu, memory }, index) => (
          <tr key={`${name} ${index}`}>
            <td>
              {name} <span class="t3">{user}</span>
            </td>
            <td class="right num">{percent(cpu)}</td>
            <td class="right num">{size(memory)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
