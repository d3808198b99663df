/** The table of a node's units of systemd, with a menu of actions for each unit. */

import { useState } from "preact/hooks";
import { formatValue } from "../../core/metrics/metric-list";
import { hasFailed, isDown, unitRows, unitVerbs, type UnitRow } from "../../core/nodes/units";
import { count, plural, t, timeOrDate, UNKNOWN } from "../../core/text";
import { dayStart } from "../../state/clock";
import type { NodeDetail } from "../../state/node-detail";
import { mayAct } from "../../state/session";
import type { NodeView, TableView } from "../../state/types";
import { Glyph, type GlyphKind, Icon, MenuButton, TextField } from "../../ui";
import { Time } from "../../ui/time";
import { FactsTable } from "../../ui/facts-table";
import { ConfirmUnits, submitUnitJob, UNIT_WORDS } from "./unit-help";
import { UnitJournal } from "./unit-journal";

/** Verbs that need a confirmation. */
const CONFIRMED = new Set(["unit-stop", "unit-restart"]);

type OpenDialog = { row: UnitRow; verb: string } | { row: UnitRow; verb: null };

export interface UnitsProps {
  detail: NodeDetail;
  view: NodeView;
  table: TableView;
}

export function Units({ detail, view, table }: UnitsProps) {
  const [words, setWords] = useState("");
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const rows = unitRows(table, detail.tables.value?.services, view.latest);
  const wanted = words.toLowerCase().trim();
  const shown = wanted ? rows.filter((row) => `${row.name} ${row.description} ${row.state}`.toLowerCase().includes(wanted)) : rows;
  const acts = mayAct.value && view.state === "online";
  const journal = acts && view.policy !== null && view.policy.journal !== "off";
  const close = (): void => setOpenDialog(null);
  return (
    <section class="card" aria-label={t`Units`}>
      <header>
        <h3>{t`Units`}</h3>
        <span class="t3 meta">
          {table.total !== null &&
            `${table.total > rows.length ? t`${count(rows.length)} of ${count(table.total)}` : plural(rows.length, "unit")}, `}
          <Time at={table.taken_at}>{timeOrDate(table.taken_at, dayStart.value)}</Time>
        </span>
      </header>
      {acts && <Allowed view={view} />}
      <TextField
        class="facts-search"
        label={t`Search in units`}
        value={words}
        onText={setWords}
        type="search"
        code
        input={{ placeholder: t`Search` }}
      />
      {table.total === null ? (
        <p class="pad t3">{t`The agent could not read this.`}</p>
      ) : !shown.length ? (
        <p class="pad t3">{wanted ? t`Nothing matches the search.` : t`No unit is loaded.`}</p>
      ) : (
        <FactsTable
          label={t`Units, table`}
          heads={[t`Unit`, t`State`, t`Since`, t`Restarts`, t`CPU`, t`Memory`]}
          numbers={[3, 4, 5]}
          acts={acts}
        >
          {shown.map((row) => (
            <tr key={row.name}>
              <td title={row.description}>{row.name}</td>
              <td>
                <Glyph kind={markOf(row)} label="" /> {row.state}
                {row.result && row.result !== "success" && <span class="t3"> ({row.result})</span>}
              </td>
              <td>{row.since === null ? UNKNOWN : <Time at={row.since}>{timeOrDate(row.since, dayStart.value)}</Time>}</td>
              <td class="num">{row.restarts ?? UNKNOWN}</td>
              <td class="num">{row.cpu === null ? UNKNOWN : formatValue(row.cpu, "percent")}</td>
              <td class="num">{row.memory === null ? UNKNOWN : formatValue(row.memory, "bytes")}</td>
              {acts && (
                <td>
                  <Actions row={row} view={view} journal={journal} onAsk={setOpenDialog} />
                </td>
              )}
            </tr>
          ))}
        </FactsTable>
      )}
      {openDialog?.verb && <ConfirmUnits view={view} units={[openDialog.row.name]} verb={openDialog.verb} onClose={close} />}
      {openDialog && !openDialog.verb && <UnitJournal view={view} unit={openDialog.row.name} onClose={close} />}
    </section>
  );
}

const markOf = (row: UnitRow): GlyphKind => (hasFailed(row) ? "fail" : isDown(row) ? "ended" : "ok");

/** A hint how the owner allows actions and journals; nothing if both are allowed. */
function Allowed({ view }: { view: NodeView }) {
  const policy = view.policy;
  if (!policy || (policy.units.length && policy.journal !== "off")) return null;
  return (
    <p class="pad t3 meta">
      {!policy.units.length &&
        t`The owner of this server names the units that may be started, stopped, restarted and reloaded here, in its policy.conf (mode = managed, version = 2): units = nginx.service, php*.`}{" "}
      {policy.journal === "off" && t`With journal = warning there, the last lines of a unit are shown here.`}{" "}
      <a class="accent" href="/settings/policies">
        {t`Settings, Policies`}
      </a>
    </p>
  );
}

function Actions({
  row,
  view,
  journal,
  onAsk,
}: {
  row: UnitRow;
  view: NodeView;
  journal: boolean;
  onAsk: (openDialog: OpenDialog) => void;
}) {
  const verbs = unitVerbs(row, view.policy);
  if (!verbs.length && !journal) return null;
  const items = verbs.map((verb) => {
    const word = UNIT_WORDS[verb] ?? verb;
    return {
      label: CONFIRMED.has(verb) ? t`${word}…` : word,
      danger: verb === "unit-stop",
      run: () => (CONFIRMED.has(verb) ? onAsk({ row, verb }) : void submitUnitJob(view, [row.name], verb)),
    };
  });
  return (
    <MenuButton
      class="slim quiet"
      label={t`Actions for ${row.name}`}
      groups={[items, journal ? [{ label: t`Last 200 lines`, run: () => onAsk({ row, verb: null }) }] : []]}
    >
      <Icon name="chevron-down" size="small" />
    </MenuButton>
  );
}
