import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import {
  auditCsv,
  auditDetail,
  auditKey,
  auditNames,
  auditOutcome,
  auditLabel,
  bareId,
  foldAudit,
  orderedBy,
  shortId,
  subjectName,
  type AuditFilter,
} from "../../core/access/audit";
import { parseDays, spanOf } from "../../core/text/day-range";
import { plural, t, timeOrDate } from "../../core/text";
import { orderSeverity, orderSummary, orderTitle, orderUrl } from "../../core/events/orders";
import { dayStart } from "../../state/clock";
import { ids, nodeName } from "../../state/fleet";
import { searchAudit, loadWholeAudit, verifyAudit } from "../../state/users";
import { pageUrl, setQuery } from "../../state/router";
import { toast } from "../../state/toasts";
import type { AuditCheckView, AuditView, OrderView, SubjectView } from "../../state/types";
import { Banner, Button, Empty, Glyph, Icon, TextField } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { GridHead, Cell } from "../../ui/grid-head";
import { downloadText } from "../../ui/download";
import { Time } from "../../ui/time";
import { DateRange } from "../date-range";
import { ListView, useList } from "../list-view";
import { ActionError, useAction } from "../use-action";
import { useSettledText } from "../use-settled-text";

/** The result of an action that was not refused and did not fail. */
const DONE = "done";
const REFUSED = "refused";
const ID = /^[0-9a-z]{26}$/;
const MOST_EXPORTED = 200_000;
const COUNT = new Intl.NumberFormat("en");

/** The audit log. The URL holds the filter, so that it can be shared. */
export function AuditPage() {
  const query = pageUrl.value.query;
  const days = parseDays((name) => query.get(name));
  const filter: AuditFilter = { actor: query.get("actor") ?? "", action: query.get("action") ?? "", ...spanOf(days) };
  const [read, setRead] = useState(0);
  const known = useRef<Known>({ orders: new Map(), subjects: new Map() }).current;
  const list = useList<AuditView>(
    async (cursor) => {
      const found = await searchAudit(filter, cursor);
      setRead((before) => (cursor ? before : 0) + found.read);
      for (const order of found.orders) known.orders.set(order.id, order);
      for (const [id, subject] of Object.entries(found.subjects)) known.subjects.set(id, subject);
      return { items: found.rows, next: found.next };
    },
    auditKey,
    JSON.stringify(filter),
  );
  const filtered = filter.actor !== "" || filter.action !== "" || days.from !== "" || days.to !== "";
  return (
    <div class="stack">
      <div class="section-head">
        <div class="grow">
          <h2>{t`Audit`}</h2>
          <p class="t3 meta">{t`Every change and who made it, chained so that a missing or altered row is detected. What servers and strangers were refused stands between the rows, counted by the minute.`}</p>
        </div>
        <Export filter={filter} />
      </div>
      <Verify />
      <div class="audit-filter" role="search" aria-label={t`Filter the audit log`}>
        <FilterText label={t`Actor`} name="actor" value={filter.actor} placeholder="admin" />
        <FilterText label={t`Action`} name="action" value={filter.action} placeholder={t`User added`} />
        <DateRange {...days} />
      </div>
      <ListView
        list={list}
        what={t`the audit log`}
        refused={t`Your role cannot see the audit log.`}
        empty={
          <Empty
            icon="scroll-text"
            title={filtered ? t`No entry matches` : t`No entries yet`}
            text={
              filtered
                ? t`None of the newest ${COUNT.format(read)} entries match this filter.`
                : t`What people and programs change is listed here.`
            }
          >
            {list.next && <Button onClick={list.more}>{t`Look further back`}</Button>}
          </Empty>
        }
      >
        {(items) => <Rows rows={items} known={known} />}
      </ListView>
    </div>
  );
}

/** Checks the whole log, and shows its head: who keeps that elsewhere can show later that nothing was cut off. */
function Verify() {
  const [check, setCheck] = useState<AuditCheckView | null>(null);
  const act = useAction();
  const verify = (): void =>
    void act.run(async () => {
      setCheck(null);
      setCheck(await verifyAudit());
    });
  return (
    <div class="stack">
      <div class="row wrap">
        <Button busy={act.busy} onClick={verify}>
          {t`Verify`}
        </Button>
        <span class="t3 meta" role="status">
          {act.busy
            ? t`Every row is checked. A long log takes a while.`
            : check?.holds
              ? t`Checked at ${timeOrDate(check.at, dayStart.value)}: no row was changed, moved or removed.`
              : check
                ? ""
                : t`Checks that no row was changed, moved or removed.`}
        </span>
      </div>
      <ActionError text={act.refusal} />
      {check && !check.holds && (
        <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
          <b>{t`The audit log does not hold:`}</b> <span class="plain">{check.fault}</span>
        </Banner>
      )}
      {check?.heads.map(({ chain, n, hash }) => (
        <div key={chain} class="row wrap">
          <span class="t3 meta">{t`Keep this head elsewhere; “stardust audit verify --expect” compares it later:`}</span>
          <code class="mono wrap-any">{`${chain}:${n}:${hash}`}</code>
          <CopyButton name={t`Copy the head`} text={() => `${chain}:${n}:${hash}`} />
        </div>
      ))}
    </div>
  );
}

/** Buttons that save all matching rows as a file. The log is read page by page, so that the hub never holds more than one page. */
function Export({ filter }: { filter: AuditFilter }) {
  const [read, setRead] = useState<number | null>(null);
  const shown = useRef(true);
  const act = useAction();
  useEffect(
    () => () => {
      shown.current = false;
    },
    [],
  );
  const save = (kind: "json" | "csv"): void =>
    void act.run(async () => {
      setRead(0);
      try {
        const rows = await loadWholeAudit(filter, (count) => {
          setRead(count);
          return shown.current && count < MOST_EXPORTED;
        });
        if (rows)
          downloadText(
            kind === "csv" ? auditCsv(rows) : `${JSON.stringify(rows, null, 1)}\n`,
            `stardust-audit.${kind}`,
            kind === "csv" ? "text/csv" : "application/json",
          );
        else if (shown.current) toast("fail", t`The log is too long to export here`, t`Use “stardust audit export” on the hub.`);
      } finally {
        setRead(null);
      }
    });
  return (
    <div class="row wrap">
      {read !== null && (
        <span class="t3 meta num" role="status">
          {t`${COUNT.format(read)} loaded`}
        </span>
      )}
      {act.refusal && (
        <span class="wrong" role="alert">
          {act.refusal}
        </span>
      )}
      <Button icon="download" disabled={act.busy} onClick={() => save("json")}>
        {t`Export JSON`}
      </Button>
      <Button icon="download" disabled={act.busy} onClick={() => save("csv")}>
        {t`Export CSV`}
      </Button>
    </div>
  );
}

/** What the hub told of the read rows: their orders for many nodes, and what their ids stand for. */
interface Known {
  orders: Map<string, OrderView>;
  subjects: Map<string, SubjectView>;
}

/** Of a log that names no order for many nodes. */
export const NONE_KNOWN: Known = { orders: new Map(), subjects: new Map() };

export function Rows({ rows, known }: { rows: readonly AuditView[]; known: Known }) {
  const nodes = ids.value;
  const namesInRows = useMemo(() => auditNames(rows, nodeName), [rows, nodes]);
  const nameOf = (id: string): string | undefined => nodeName(id) ?? subjectName(known.subjects.get(id)) ?? namesInRows.get(id);
  return (
    <div class="card grid-table audit-table" role="table" aria-label={t`Audit log`}>
      <GridHead labels={[t`Result`, t`Action`, t`Target`, t`Actor`, t`Address`, t`Time`]} unseen={[t`Result`]} />
      {foldAudit(rows).map((entry) => {
        const [newest] = entry;
        const oldest = entry.at(-1);
        const order = known.orders.get((newest?.action === "batch.create" ? newest.target : newest?.order) ?? "");
        return oldest && <Entry key={order?.id ?? auditKey(oldest)} rows={entry} order={order} nameOf={nameOf} />;
      })}
    </div>
  );
}

type NameOf = (id: string) => string | undefined;

interface EntryProps {
  rows: readonly AuditView[];
  /** The order for many nodes that the rows belong to. */
  order: OrderView | undefined;
  nameOf: NameOf;
}

/** The rows of one order for many nodes, or of one job, folded into one row; or a single row that is not folded. */
function Entry({ rows, order, nameOf }: EntryProps) {
  const [open, setOpen] = useState(false);
  const [newest, ...before] = rows;
  if (!newest) return null;
  const many = order !== undefined && newest.result === DONE;
  const inside = many ? rows : before;
  const more = inside.length > 0 && (
    <button type="button" class="fold t3" aria-expanded={open} onClick={() => setOpen(!open)}>
      <Icon name="chevron-down" size="small" />
      {many ? plural(inside.length, "entry", "entries") : t`${plural(inside.length, "entry", "entries")} before`}
    </button>
  );
  return (
    <>
      {many ? <OrderRow row={newest} order={order} more={more} /> : <Row row={newest} nameOf={nameOf} more={more} by={orderedBy(rows)} />}
      {open && inside.map((row) => <Row key={auditKey(row)} row={row} nameOf={nameOf} />)}
    </>
  );
}

const ORDER_GLYPHS = { error: "fail", warning: "warn", info: "done" } as const;

/** One order for many nodes, as a whole: the hub counts it, whatever rows of it are loaded. */
function OrderRow({ row, order, more }: { row: AuditView; order: OrderView; more: ComponentChildren }) {
  const severity = orderSeverity(order);
  return (
    <div role="row">
      <Cell>
        <Glyph kind={ORDER_GLYPHS[severity]} label={severity} />
      </Cell>
      <Cell class="medium wrap-any">
        {orderTitle(order)} {more}
      </Cell>
      <Cell class="t2">
        <a class="accent" href={orderUrl(order)}>
          {orderSummary(order)}
        </a>
      </Cell>
      <Cell class="t2 cut">{order.by}</Cell>
      <Cell class="t3 cut">{row.action === "batch.create" ? row.address : ""}</Cell>
      <Cell class="t3">
        <Time at={row.at}>{timeOrDate(row.at, dayStart.value)}</Time>
      </Cell>
    </div>
  );
}

interface RowProps {
  row: AuditView;
  nameOf: NameOf;
  more?: ComponentChildren;
  /** Who ordered it, if the row was written by the hub or a node; undefined = the actor of the row. */
  by?: string | undefined;
}

function Row({ row, nameOf, more, by = row.actor }: RowProps) {
  const details = auditDetail(row, nameOf, dayStart.value);
  const { glyph, label } = auditOutcome(row);
  return (
    <div role="row">
      <Cell>
        <Glyph kind={glyph} label={label} />
      </Cell>
      <Cell class="medium wrap-any">
        <span title={row.action}>{auditLabel(row.action)}</span>
        {row.result !== DONE && <span class="crit"> {row.result === REFUSED ? t`refused` : row.result}</span>} {more}
      </Cell>
      <Cell class="t2 wrap-any">
        <Target text={row.target} action={row.action} nameOf={nameOf} />
        {details && (
          <small class="t3" title={auditDetail(row, (id) => id, dayStart.value)}>
            {details}
          </small>
        )}
      </Cell>
      <Cell class="t2 cut">
        <Target text={by} nameOf={(id) => nameOf(id) ?? id} />
        {by !== row.actor && (
          <small class="t3">
            {t`told by`} <Target text={row.actor} nameOf={(id) => nameOf(id) ?? id} />
          </small>
        )}
      </Cell>
      <Cell class="t3 cut">{row.address || "—"}</Cell>
      <Cell class="t3">
        <Time at={row.at}>{timeOrDate(row.at, dayStart.value)}</Time>
      </Cell>
    </div>
  );
}

/** The name of a target, or the end of its id if the name is unknown. Nodes, jobs and batches link to their pages. */
function Target({ text, action = "", nameOf }: { text: string; action?: string; nameOf: NameOf }) {
  const id = bareId(text);
  if (!ID.test(id)) return <>{text || "—"}</>;
  const ofJob = action.startsWith("job.");
  const name = nameOf(id) ?? (ofJob ? t`Job ${shortId(id)}` : shortId(id));
  const href = ids.value.includes(id) ? `/n/${id}` : ofJob ? `/jobs/${id}` : action.startsWith("batch.") ? `/batches/${id}` : "";
  if (!href) return <span title={text}>{name}</span>;
  return (
    <a href={href} class="accent" title={text}>
      {name}
    </a>
  );
}

/** A field of the filter, which applies when typing pauses. */
function FilterText({ label, name, value, placeholder }: { label: string; name: string; value: string; placeholder: string }) {
  const [text, setText] = useSettledText(value, (settled) => setQuery({ [name]: settled }));
  return <TextField label={label} value={text} onText={setText} code input={{ type: "search", placeholder, maxLength: 64 }} />;
}
