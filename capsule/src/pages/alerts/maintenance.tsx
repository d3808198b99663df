/** The tab of the maintenance windows, in which alerts are shown but not sent. */

import { useState } from "preact/hooks";
import { selectWords } from "../../core/alerts/rule-text";
import { windowWords } from "../../core/alerts/schedule-text";
import { t, timeOrDate } from "../../core/text";
import { endMaintenance, loadMaintenance } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import { mayAct } from "../../state/session";
import { reloadQuiet } from "../../state/quiet";
import { toast } from "../../state/toasts";
import { ApiError, type MaintenanceView } from "../../state/types";
import { Button, Empty, Glyph, type GlyphKind } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { ListView } from "../list-view";
import { MaintenanceDialog } from "./maintenance-dialog";
import { useAll } from "./use-all";

const ORIGINS = { job: t`opened by a job`, deployment: t`opened by a deployment` } as const;

/** Whether it was ended before it started. */
const isCancelled = (one: MaintenanceView): boolean => one.closed_at !== null && one.closed_at < one.from_at;

const isOver = (one: MaintenanceView): boolean => !one.active && one.next_from_at === null;

function stateOf(one: MaintenanceView): { text: string; glyph: GlyphKind } {
  if (one.active) return { text: t`open now`, glyph: "pause" };
  if (isCancelled(one)) return { text: t`cancelled`, glyph: "ended" };
  if (isOver(one) || one.next_from_at === null) return { text: t`over`, glyph: "done" };
  return { text: t`next ${timeOrDate(one.next_from_at, dayStart.value)}`, glyph: "wait" };
}

export function MaintenanceTab() {
  const list = useAll(loadMaintenance);
  const [openDialog, setOpenDialog] = useState(false);
  const end = async (one: MaintenanceView): Promise<void> => {
    try {
      await endMaintenance(one.id);
      toast("done", one.active ? t`The maintenance ended` : t`The maintenance was cancelled`);
      list.load();
      void reloadQuiet();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", t`Not ended`, error.detail);
    }
  };
  const openButton = mayAct.value && (
    <Button kind="primary" icon="wrench" class="end" onClick={() => setOpenDialog(true)}>
      {t`Open maintenance`}
    </Button>
  );
  return (
    <div class="stack">
      <div class="section-head">
        <p class="t3 meta grow">{t`During maintenance alerts are shown and not sent. What still fires when it ends is sent as one message. Jobs that change packages, reboots and deployments open one themselves.`}</p>
        {list.items && list.items.length > 0 && openButton}
      </div>
      <ListView
        list={list}
        what={t`the maintenance`}
        refused={t`Your role cannot see maintenance.`}
        empty={
          <Empty icon="wrench" title={t`No maintenance`} text={t`Open one before you work on a server, so that nobody is woken.`}>
            {openButton || undefined}
          </Empty>
        }
      >
        {(items) => (
          <div class="card grid-table maintenance-table" role="table" aria-label={t`Maintenance`}>
            <GridHead labels={[t`State`, t`Servers`, t`When`, t`Why`, t`By`, t`Actions`]} unseen={[t`Actions`]} />
            {items.map((one) => (
              <Row key={one.id} one={one} onEnd={() => void end(one)} />
            ))}
          </div>
        )}
      </ListView>
      {openDialog && <MaintenanceDialog onClose={() => setOpenDialog(false)} onMade={list.load} />}
    </div>
  );
}

function Row({ one, onEnd }: { one: MaintenanceView; onEnd: () => void }) {
  const { text, glyph } = stateOf(one);
  const over = isOver(one);
  return (
    <div role="row" class={over ? "dimmed" : ""}>
      <Cell class="row">
        <Glyph kind={glyph} label="" />
        <span class="cut">{text}</span>
      </Cell>
      <Cell head class="cut medium">
        {selectWords(one.select, nodeLabel)}
      </Cell>
      <Cell class="t2 anywhere">{windowWords(one, dayStart.value)}</Cell>
      <Cell class="t2 anywhere">{one.reason}</Cell>
      <Cell class="t3 cut">{one.origin === "user" ? one.created_by : ORIGINS[one.origin]}</Cell>
      <Cell class="right">
        {mayAct.value && !over && one.origin === "user" && (
          <Button slim onClick={onEnd}>
            {one.active ? t`End now` : t`Cancel`}
          </Button>
        )}
      </Cell>
    </div>
  );
}
