/** The clock of a server in another time zone. */

const formats = new Map<string, Intl.DateTimeFormat | null>();

function formatOf(zone: string): Intl.DateTimeFormat | null {
  let format = formats.get(zone);
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat("en-GB", {
        timeZone: zone,
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
        hourCycle: "h23",
      });
    } catch {
      format = null; // a server may report any text; an unknown zone has no clock
    }
    formats.set(zone, format);
  }
  return format;
}

/** A time by a server's clock, such as "05:09:56 UTC"; empty if it equals the viewer's clock or the zone is unknown. `own` is the viewer's zone. */
export function hostClock(at: number, zone: string, own = Intl.DateTimeFormat().resolvedOptions().timeZone): string {
  const there = zone ? formatOf(zone)?.format(at * 1000) : undefined;
  return there === undefined || there === formatOf(own)?.format(at * 1000) ? "" : `${there} ${zone.replaceAll("_", " ")}`;
}
