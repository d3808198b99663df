import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { detailWords } from "../../core/access";
import { auditCsv, type AuditFilter } from "../../core/audit";
import { t } from "../../core/say";
import { moment } from "../../core/time";
import { ids, nodeName, nodeSignal } from "../../state/fleet";
import { searchAudit, wholeAudit } from "../../state/people";
import { place, setQuery } from "../../state/router";
import { toast } from "../../state/toasts";
import { today } from "../../state/today";
import type { AuditView } from "../../state/types";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Empty, Time } from "../../ui/parts";
import { saveText } from "../../ui/save";
import { ListView, useListed } from "./list";
import { useAct } from "./refusal";

const SETTLE_MS = 300;
/** The result of what was not refused and did not fail. */
const DONE = "done";
const JOB = /^(?:job:)?([0-9a-z]{26})$/;
const MOST_EXPORTED = 200_000;
const COUNT = new Intl.NumberFormat("en");

/** Who did what. The filter stands in the address, so that it can be sent to somebody. */
export function AuditPage(): VNode {
  const query = place.value.query;
  const filter: AuditFilter = { actor: query.get("actor") ?? "", action: query.get("action") ?? "" };
  const [read, setRead] = useState(0);
  const list = useListed<AuditView>(
    async (cursor) => {
      const found = await searchAudit(filter, cursor);
      setRead((before) => (cursor ? before : 0) + found.read);
      return { items: found.rows, next: found.next };
    },
    JSON.stringify(filter),
  );
  const filtered = filter.actor !== "" || filter.action !== "";
  return (
    <div class="stack">
      <div class="section-head">
        <div class="grow">
          <h2>{t`Audit`}</h2>
          <p class="t3 meta">{t`Every change with who made it, chained so that a missing or altered row is found.`}</p>
        </div>
        <Export filter={filter} />
      </div>
      <div class="audit-filter" role="search" aria-label={t`Filter the audit log`}>
        <FilterText label={t`Actor`} name="actor" value={filter.actor} placeholder="admin" />
        <FilterText label={t`Action`} name="action" value={filter.action} placeholder="user.create" />
      </div>
      <ListView
        list={list}
        what={t`the audit log`}
        refused={t`The audit log is closed to you.`}
        empty={
          <Empty icon="scroll-text" title={filtered ? t`No entry fits` : t`No entries yet`} text={filtered ? t`None of the newest ${COUNT.format(read)} entries is of this actor and action.` : t`What people and programs change is noted here.`}>
            {list.next && <Button onClick={list.more}>{t`Look further back`}</Button>}
          </Empty>
        }
      >
        {(items) => (
          <div class="card grid-table audit-table" role="table" aria-label={t`Audit log`}>
            <div role="row" class="head">
              {[t`Result`, t`Action`, t`Target`, t`Actor`, t`Address`, t`At`].map((label) => (
                <span key={label} role="columnheader">
                  {label === t`Result` ? <span class="hidden-text">{t`Result`}</span> : label}
                </span>
              ))}
            </div>
            {items.map((row) => (
              <Row key={row.n} row={row} />
            ))}
          </div>
        )}
      </ListView>
    </div>
  );
}

/** All rows that fit, as a file: read page by page, so that the hub never holds more than one of them. */
function Export({ filter }: { filter: AuditFilter }): VNode {
  const [read, setRead] = useState<number | null>(null);
  const shown = useRef(true);
  const act = useAct();
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
        const rows = await wholeAudit(filter, (count) => {
          setRead(count);
          return shown.current && count < MOST_EXPORTED;
        });
        if (rows) saveText(kind === "csv" ? auditCsv(rows) : `${JSON.stringify(rows, null, 1)}\n`, `stardust-audit.${kind}`, kind === "csv" ? "text/csv" : "application/json");
        else if (shown.current) toast("fail", t`The log is too long for a file from here`, t`Use “stardust audit export” on the hub.`);
      } finally {
        setRead(null);
      }
    });
  return (
    <div class="row wrap">
      {read !== null && (
        <span class="t3 meta num" role="status">
          {t`${COUNT.format(read)} read`}
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

function Row({ row }: { row: AuditView }): VNode {
  const { node } = row.detail;
  const details = detailWords(typeof node === "string" ? { ...row.detail, node: nodeName(node) ?? node } : row.detail);
  return (
    <div role="row">
      <span role="cell">
        <Glyph kind={row.result === DONE ? "done" : "fail"} label={row.result} />
      </span>
      <span role="cell" class="medium wrap-any">
        {row.action}
        {row.result !== DONE && <span class="crit"> {row.result}</span>}
      </span>
      <span role="cell" class="t2 wrap-any">
        <Target text={row.target} ofJob={row.action.startsWith("job.")} />
        {details && <small class="t3">{details}</small>}
      </span>
      <span role="cell" class="t2 cut">
        <Target text={row.actor} />
      </span>
      <span role="cell" class="t3 cut">
        {row.address || "—"}
      </span>
      <span role="cell" class="t3">
        <Time at={row.at}>{moment(row.at, today.value)}</Time>
      </span>
    </div>
  );
}

/** A node that is still there by its name; a job leads to its output. */
function Target({ text, ofJob = false }: { text: string; ofJob?: boolean }): VNode {
  const id = text.replace(/^node:/, "");
  const name = ids.value.includes(id) ? nodeSignal(id)?.value.name : undefined;
  const job = ofJob ? JOB.exec(text)?.[1] : undefined;
  if (name === undefined && job === undefined) return <>{text || "—"}</>;
  return (
    <a href={job ? `/jobs/${job}` : `/n/${id}`} class="accent" title={text}>
      {name ?? text}
    </a>
  );
}

/** Asks once the typing settles. */
function FilterText({ label, name, value, placeholder }: { label: string; name: string; value: string; placeholder: string }): VNode {
  const [text, setText] = useState(value);
  useEffect(() => {
    if (text.trim() === value) return undefined;
    const timer = setTimeout(() => setQuery({ [name]: text.trim() || null }), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => setText((held) => (held.trim() === value ? held : value)), [value]);
  return <TextField label={label} value={text} onText={setText} input={{ type: "search", placeholder, autocomplete: "off", spellcheck: false, maxLength: 64 }} />;
}
