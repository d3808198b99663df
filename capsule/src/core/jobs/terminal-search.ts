/** Text search in the rows of a terminal. The rows of a wrapped line are searched as one line. */

export interface ScreenRow {
  text: string;
  /** Whether the row continues the row before. */
  wrapped: boolean;
}

export interface SearchMatch {
  row: number;
  column: number;
  length: number;
}

const MAX_MATCHES = 1000;

/** The first `MAX_MATCHES` matches; upper and lower case are equal. `columns` is the width of the terminal. */
export function searchRows(rows: readonly ScreenRow[], words: string, columns: number): SearchMatch[] {
  const wanted = words.toLowerCase();
  const found: SearchMatch[] = [];
  if (!wanted) return found;
  for (let row = 0; row < rows.length && found.length < MAX_MATCHES; ) {
    let end = row + 1;
    let line = (rows[row] as ScreenRow).text;
    while (rows[end]?.wrapped) {
      line = line.padEnd((end - row) * columns) + (rows[end] as ScreenRow).text;
      end += 1;
    }
    const low = line.toLowerCase();
    for (let at = low.indexOf(wanted); at >= 0 && found.length < MAX_MATCHES; at = low.indexOf(wanted, at + wanted.length)) {
      found.push({ row: row + Math.floor(at / columns), column: at % columns, length: wanted.length });
    }
    row = end;
  }
  return found;
}
