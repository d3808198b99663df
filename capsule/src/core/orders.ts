/** What can be asked of a server's packages, in words. */

const PLANNED = ["upgrade", "full-upgrade", "security-upgrade", "install", "remove", "autoremove"] as const;
const NAMING = new Set<string>(["install", "remove", "hold", "unhold"]);

type PlannedAction = (typeof PLANNED)[number];
type KeptReason = "held" | "phased" | "pinned" | "needs_new" | "needs_removal" | "unresolvable" | "other";

interface Planned {
  counts: { upgrades: number; new: number; removals: number; security: number; kept: number };
  reboot: string;
}

interface Stoppable {
  stop: { state: "asked" | "now" | "after_package" | "too_late"; why: string; force?: boolean } | null;
}

export const isPlanned = (action: string): action is PlannedAction => (PLANNED as readonly string[]).includes(action);
export const wantsPackages = (action: string): boolean => NAMING.has(action);

/** What the button that starts it says. */
export const START_WORDS: Record<string, string> = {
  upgrade: "Start upgrade",
  "full-upgrade": "Start full upgrade",
  "security-upgrade": "Start security upgrade",
  install: "Install",
  remove: "Remove packages",
  autoremove: "Remove packages",
  hold: "Hold",
  unhold: "Release",
  clean: "Clean up",
  repair: "Repair",
  reboot: "Reboot server",
};

/** What is good to know before it starts. */
export const BEFORE: Record<string, string> = {
  hold: "Held packages stay as they are in every upgrade, until they are released.",
  unhold: "Released packages are upgraded again with the others.",
  clean: "Downloaded package files are removed from the server’s cache. Nothing that is installed changes.",
  repair: "Package work that was cut off is brought to its end: half-configured packages, stale locks, unfinished transactions.",
  reboot: "The server restarts now. The job ends when it is back, and says which units, ports and mounts are missing then.",
};

const KEPT: Record<KeptReason, string> = {
  held: "held on the server",
  phased: "given to a share of servers so far",
  pinned: "pinned to another version",
  needs_new: "needs new packages: a full upgrade brings it",
  needs_removal: "needs a removal: a full upgrade brings it",
  unresolvable: "what it needs cannot be had, at least not without a removal",
  other: "kept back by the server",
};

export const keptWord = (reason: KeptReason): string => KEPT[reason];

/** Names as somebody typed them, with blanks or commas between. */
export const namesOf = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

/** One line on the whole of a plan. */
export function planSum({ counts, reboot }: Planned): string {
  const parts: [number, string, string][] = [
    [counts.upgrades, "upgrade", "upgrades"],
    [counts.new, "new package", "new packages"],
    [counts.removals, "removal", "removals"],
    [counts.security, "for security", "for security"],
    [counts.kept, "kept back", "kept back"],
  ];
  const said = parts.filter(([count]) => count > 0).map(([count, one, many]) => `${count} ${count === 1 ? one : many}`);
  return [said.join(", ") || "Nothing is to be done", ...(reboot === "yes" ? ["a reboot is expected"] : [])].join("; ");
}

/** What became of the wish to stop a job. */
export function stopWord(job: Stoppable): string {
  if (!job.stop) return "";
  const why = job.stop.why ? `: ${job.stop.why}` : "";
  switch (job.stop.state) {
    case "asked":
      return "The server was asked to stop it.";
    case "now":
      return `It ends at once${why}`;
    case "after_package":
      return `It ends after the package that it is at${why}`;
    case "too_late":
      return `It cannot be stopped any more${why}`;
  }
}

/** Once a server has answered that it cannot stop at once, and nobody has used force yet. */
export const mayForce = ({ stop }: Stoppable): boolean => stop !== null && !stop.force && (stop.state === "too_late" || stop.state === "after_package");

export const FORCE_WORDS = "The script of the package that it is at is ended, such as one that waits for a service or for an answer; the package manager itself is not. That package and what needs it may stay half configured until “Repair packages” has put them in order.";
