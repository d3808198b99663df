/** Which package's script failed, and what the script itself said, read from the output of a package manager. */

export interface ScriptFailure {
  package: string;
  /** The last line that the script printed; empty if it printed nothing. */
  cause: string;
}

/** The line by which dpkg or rpm reports the failed script. */
const FAILED = [
  /^dpkg: error processing (?:package|archive) (?<name>[^\s/:]+)(?::\w+)? \(--\w[\w-]*\)/,
  /^(?:warning|error): %\w+\((?<name>.+?)-(?:\d+:)?[^-]+-[^-]+\) scriptlet failed/,
] as const;
/** Lines of the package manager, which are not the words of a script. */
const OF_MANAGER =
  /^(?:dpkg|apt|E|W|N): ?|^(?:Setting up|Preparing|Unpacking|Removing|Processing|Selecting|Errors were|Reading|Building|Installing|Upgrading|Running scriptlet)\b|^ (?:installed|new|old) .* (?:script|subprocess)|^\s*$/i;
const MOST_CHARS = 200;
// Colours and other control sequences, and control characters but the line feed.
const CONTROLS = /\u001b\[[0-?]*[ -/]*[@-~]|[\u0000-\u0009\u000b-\u001f\u007f]/g;

/** The packages whose scripts failed, each once, in the order of the output. */
export function scriptFailures(output: string): ScriptFailure[] {
  const lines = output.replace(/\r\n/g, "\n").replace(CONTROLS, "").split("\n");
  const found = new Map<string, ScriptFailure>();
  lines.forEach((line, at) => {
    const name = FAILED.map((pattern) => pattern.exec(line.trim())?.groups?.["name"]).find(Boolean);
    if (!name || found.has(name)) return;
    const before = lines.slice(Math.max(0, at - 3), at).reverse();
    const said = before.find((one) => one.trim());
    found.set(name, { package: name, cause: said && !OF_MANAGER.test(said) ? said.trim().slice(0, MOST_CHARS) : "" });
  });
  return [...found.values()];
}
