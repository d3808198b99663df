/** Names of series as the hub writes them: `disk.read{device=sda}`. */

export interface Series {
  metric: string;
  label: string;
  value: string;
}

const FORM = /^([a-z0-9_.]+)(?:\{([a-z_]+)=([^{}]*)\})?$/;

export function parseSeries(name: string): Series | null {
  const found = FORM.exec(name);
  return found ? { metric: found[1] ?? "", label: found[2] ?? "", value: found[3] ?? "" } : null;
}

export const seriesName = (metric: string, label: string, value: string): string => `${metric}{${label}=${value}}`;

/** Seconds between two samples of a metric. */
export const rhythmOf = (name: string): number => (name.startsWith("filesystem.") || name.startsWith("temperature") ? 60 : 1);

export interface SampleLike {
  value: number | null;
  at: number;
}

/** What of `latest` belongs to one labelled metric, by the label's value. */
export function labelled(latest: Readonly<Record<string, SampleLike>>, metric: string): Map<string, SampleLike> {
  const found = new Map<string, SampleLike>();
  const start = `${metric}{`;
  // For five hundred nodes a second: no list of the entries is made.
  for (const name in latest) {
    if (!name.startsWith(start)) continue;
    const series = parseSeries(name);
    if (series) found.set(series.value, latest[name] as SampleLike);
  }
  return found;
}
