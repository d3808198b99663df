/** The delivery log: what the hub decided about each message, the newest first. */

import { deliverySentence, kindWords } from "../../core/alerts/delivery-text";
import { t, timeOrDate } from "../../core/text";
import { findDeliveries, loadChannels, retryDelivery } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { incidents } from "../../state/incidents";
import { pageUrl, setQuery } from "../../state/router";
import { toast } from "../../state/toasts";
import { ApiError, type DeliveryView } from "../../state/types";
import { Button, Empty, Glyph, type GlyphKind } from "../../ui";
import { FilterChips } from "../../ui/filter-chips";
import { GridHead, Cell } from "../../ui/grid-head";
import { Time } from "../../ui/time";
import { ListView, useList } from "../list-view";
import { mayManageAlerts } from "./rules";
import { put, useAll } from "./use-all";

const GLYPHS: Record<DeliveryView["state"], GlyphKind> = {
  sent: "done",
  failed: "fail",
  due: "run",
  sending: "run",
  deferred: "wait",
  skipped: "ended",
};
const CHIPS = [
  { key: "sent", label: t`Sent` },
  { key: "failed", label: t`Failed` },
  { key: "deferred", label: t`Held` },
  { key: "skipped", label: t`Not sent` },
  { key: "due", label: t`Waiting` },
];

export function DeliveriesTab() {
  const state = pageUrl.value.query.get("state") ?? "";
  const known = CHIPS.some(({ key }) => key === state) ? state : "";
  const channels = useAll(loadChannels);
  const list = useList<DeliveryView>(
    async (cursor) => {
      const page = await findDeliveries({ state: known || undefined }, cursor);
      return { items: page.deliveries, next: page.next };
    },
    (one) => one.id,
    known,
  );
  const again = async (one: DeliveryView): Promise<void> => {
    try {
      put(list, await retryDelivery(one.id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", t`Not tried again`, error.detail);
    }
  };
  const nameOf = (id: string): string => channels.items?.find((one) => one.id === id)?.name ?? t`deleted channel`;
  return (
    <div class="stack">
      <div class="tools wrap">
        <FilterChips label={t`State`} chips={CHIPS} value={known} onPick={(next) => setQuery({ state: next })} />
        <span class="grow" />
        <Button slim icon="rotate-cw" onClick={list.load}>
          {t`Reload`}
        </Button>
      </div>
      <ListView
        list={list}
        what={t`the delivery log`}
        refused={t`Your role cannot see the delivery log.`}
        empty={
          known ? (
            <Empty icon="filter" title={t`No message matches`} text={t`There are none of this state.`} />
          ) : (
            <Empty
              icon="send"
              title={t`No messages yet`}
              text={t`Each message to a channel is listed here, also when it was not sent and why.`}
            />
          )
        }
      >
        {(items) => (
          <div class="card grid-table deliveries-table" role="table" aria-label={t`Delivery log`}>
            <GridHead
              labels={[t`State`, t`Message`, t`Channel`, t`What became of it`, t`Decided`, t`Actions`]}
              unseen={[t`State`, t`Actions`]}
            />
            {items.map((one) => (
              <Row key={one.id} one={one} channel={nameOf(one.channel_id)} onRetry={() => void again(one)} />
            ))}
          </div>
        )}
      </ListView>
    </div>
  );
}

function Row({ one, channel, onRetry }: { one: DeliveryView; channel: string; onRetry: () => void }) {
  const incident = incidents.value.incidents?.find(({ id }) => id === one.incident_id);
  const waits = one.state === "failed" || (one.state === "due" && one.attempts > 0);
  const tries = one.tries.map((attempt) => `${timeOrDate(attempt.at, dayStart.value)} ${attempt.code}`).join(", ");
  return (
    <div role="row">
      <Cell>
        <Glyph kind={GLYPHS[one.state]} label={CHIPS.find(({ key }) => key === one.state)?.label ?? one.state} />
      </Cell>
      <Cell head class="anywhere">
        {kindWords(one.kind)}
        {incident && <span class="t3"> {incident.title}</span>}
      </Cell>
      <Cell class="cut t2">{channel}</Cell>
      <Cell class={`anywhere ${one.state === "failed" ? "crit" : "t2"}`} title={tries || undefined}>
        {deliverySentence(one, dayStart.value)}
      </Cell>
      <Cell class="t3">
        <Time at={one.at}>{timeOrDate(one.at, dayStart.value)}</Time>
      </Cell>
      <Cell class="right">
        {waits && mayManageAlerts() && (
          <Button slim onClick={onRetry}>
            {t`Try now`}
          </Button>
        )}
      </Cell>
    </div>
  );
}
