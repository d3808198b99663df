/** What a form asks the policy file of a server to allow. */

/** What the policy file of a server is to allow. */
export interface PolicyWishes {
  policy: "managed" | "readonly" | "monitor";
  /** Lines of the policy: names with commas between, and the journal; empty = the line is left out. */
  units: string;
  journal: "" | "off" | "warning" | "all";
  events: string;
}

/** The lines of the policy that were entered. `whole`: without names, the line for services is written as empty. */
export function policyLines(
  { policy, units, journal, events }: PolicyWishes,
  whole = false,
): { units?: string[]; journal?: "off" | "warning" | "all"; events?: string[] } {
  const names = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
  return {
    ...(policy === "managed" && (whole || units.trim()) ? { units: names(units) } : {}),
    ...(journal ? { journal } : {}),
    ...(events.trim() ? { events: names(events) } : {}),
  };
}
