/** The stored names of the fleet's columns: those that were added, and with a minus those that were taken off. */

/** added: as stored. off: the built-in columns that are not shown, without the minus. */
export function splitColumns(names: readonly string[]): { added: string[]; off: string[] } {
  const minus = /^-[a-z]+$/;
  return { added: names.filter((name) => !minus.test(name)), off: names.filter((name) => minus.test(name)).map((name) => name.slice(1)) };
}
