/** Rows of the audit log: which fit a filter, and how they are written into a file. */

export interface AuditRowLike {
  n: number;
  at: number;
  actor: string;
  address: string;
  action: string;
  target: string;
  result: string;
  detail: Readonly<Record<string, unknown>>;
}

export interface AuditFilter {
  actor: string;
  action: string;
}

const within = (text: string, part: string): boolean => text.toLowerCase().includes(part.trim().toLowerCase());

/** A part of the name is enough, whatever its case. */
export const auditFits = (row: AuditRowLike, { actor, action }: AuditFilter): boolean => within(row.actor, actor) && within(row.action, action);

/** A table calculation must not take a cell for a formula: what begins like one gets an apostrophe. */
function cell(value: string | number): string {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

const COLUMNS = ["n", "at", "actor", "address", "action", "target", "result", "detail"] as const;

/** RFC 4180; times in ISO 8601, details as JSON. */
export function auditCsv(rows: readonly AuditRowLike[]): string {
  const lines = rows.map((row) => [row.n, new Date(row.at * 1000).toISOString(), row.actor, row.address, row.action, row.target, row.result, JSON.stringify(row.detail)].map(cell).join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}
