import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { detailWords } from "../../core/access";
import { moment } from "../../core/time";
import { hubNow } from "../../state/clock";
import { auditUrl, loadAudit } from "../../state/people";
import { place, setQuery } from "../../state/router";
import type { AuditView } from "../../state/types";
import { TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Empty, Time } from "../../ui/parts";
import { ListView, useListed } from "./list";

const SETTLE_MS = 300;

/** Who did what. The filter stands in the address, so that it can be sent to somebody. */
export function AuditPage(): VNode {
  const query = place.value.query;
  const filter = { actor: query.get("actor") ?? "", action: query.get("action") ?? "" };
  const list = useListed<AuditView>(
    async (cursor) => {
      const page = await loadAudit(filter, cursor);
      return { items: page.audit, next: page.next };
    },
    JSON.stringify(filter),
  );
  const filtered = filter.actor !== "" || filter.action !== "";
  return (
    <div class="stack">
      <div class="section-head audit-head">
        <div class="grow">
          <h2>Audit</h2>
          <p class="t3 meta">Every change with who made it, chained so that a missing or altered row is found.</p>
        </div>
        <a class="button" href={auditUrl(filter, "json")} download>
          <Icon name="download" size="small" />
          JSON
        </a>
        <a class="button" href={auditUrl(filter, "csv")} download>
          <Icon name="download" size="small" />
          CSV
        </a>
      </div>
      <div class="audit-filter" role="search" aria-label="Filter the audit log">
        <FilterText label="Actor" name="actor" value={filter.actor} placeholder="admin" />
        <FilterText label="Action" name="action" value={filter.action} placeholder="user.create" />
      </div>
      <ListView
        list={list}
        what="the audit log"
        refused="The audit log is closed to you."
        empty={<Empty icon="scroll-text" title={filtered ? "No entry fits" : "No entries yet"} text={filtered ? "Nothing of this actor or action is in the log." : "What people and programs change is noted here."} />}
      >
        {(items) => (
          <div class="card grid-table audit-table" role="table" aria-label="Audit log">
            <div role="row" class="head">
              {["Result", "Action", "Target", "Actor", "Address", "At"].map((label) => (
                <span key={label} role="columnheader">
                  {label === "Result" ? <span class="hidden-text">Result</span> : label}
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

function Row({ row }: { row: AuditView }): VNode {
  const details = detailWords(row.detail);
  return (
    <div role="row">
      <span role="cell">
        <Glyph kind={row.result === "ok" ? "done" : "fail"} label={row.result} />
      </span>
      <span role="cell" class="medium wrap-any">
        {row.action}
        {row.result !== "ok" && <span class="crit"> {row.result}</span>}
      </span>
      <span role="cell" class="t2 wrap-any">
        {row.target || "—"}
        {details && <small class="t3">{details}</small>}
      </span>
      <span role="cell" class="t2 cut">
        {row.actor}
      </span>
      <span role="cell" class="t3 cut">
        {row.address || "—"}
      </span>
      <span role="cell" class="t3">
        <Time at={row.at}>{moment(row.at, hubNow())}</Time>
      </span>
    </div>
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
