/** The tab of the channels, with their state and last test. */

import { useState } from "preact/hooks";
import { reasonWords } from "../../core/alerts/delivery-text";
import { t, timeOrDate } from "../../core/text";
import { deleteChannel, editChannel, loadChannels } from "../../state/alert-calls";
import { dayStart } from "../../state/clock";
import { askMessenger } from "../../state/messenger";
import type { ChannelView } from "../../state/types";
import { Button, Empty, Glyph, type GlyphKind, Icon, MenuButton } from "../../ui";
import { Time } from "../../ui/time";
import { FormDialog } from "../form-dialog";
import { ListView } from "../list-view";
import { ActionError, useAction } from "../use-action";
import { AddChannel, EditChannel } from "./channel-dialogs";
import { ChannelTest } from "./channel-test";
import { FormatPreview } from "./format-preview";
import { mayManageAlerts } from "./rules";
import { drop, put, useAll } from "./use-all";

const STATES: Record<ChannelView["state"], { text: string; glyph: GlyphKind; pill: string }> = {
  ok: { text: t`works`, glyph: "ok", pill: "ok" },
  retrying: { text: t`tries again`, glyph: "warn", pill: "warn" },
  broken: { text: t`broken`, glyph: "fail", pill: "crit" },
};
/** A channel that has not failed, and of which no test message has arrived. */
const UNTESTED = { text: t`not tested yet`, glyph: "off", pill: "" } as const;
const SEVERITIES = { info: t`everything`, warning: t`warnings and critical`, critical: t`critical only` } as const;

type OpenDialog = { kind: "add" } | { kind: "edit" | "delete" | "format"; channel: ChannelView };

export function ChannelsTab() {
  const list = useAll(loadChannels);
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const act = useAction();
  const close = (): void => setOpenDialog(null);
  const manages = mayManageAlerts();
  const changed = (channel: ChannelView): void => {
    put(list, channel);
    void askMessenger();
  };
  const toggle = (channel: ChannelView): void =>
    void act.run(async () => changed(await editChannel(channel.id, { enabled: !channel.enabled })));
  const add = manages && (
    <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "add" })}>
      {t`Add channel`}
    </Button>
  );
  return (
    <div class="stack">
      <div class="section-head">
        <p class="t3 meta grow">{t`Each channel is notified of the alerts of its level.`}</p>
        {list.items && list.items.length > 0 && add}
      </div>
      <ActionError text={act.refusal} />
      <ListView
        list={list}
        what={t`the channels`}
        refused={t`Your role cannot see channels.`}
        empty={
          <Empty
            icon="send"
            title={t`No channels`}
            text={t`A channel is where Stardust tells you of alerts: an e-mail address, a chat or your phone.`}
          >
            {add || undefined}
          </Empty>
        }
      >
        {(items) => (
          <ul class="card rows-card channels">
            {items.map((channel) => (
              <Row
                key={channel.id}
                channel={channel}
                manages={manages}
                onToggle={() => toggle(channel)}
                onAsk={(kind) => setOpenDialog({ kind, channel })}
                onTested={list.load}
              />
            ))}
          </ul>
        )}
      </ListView>
      {openDialog?.kind === "add" && <AddChannel onClose={close} onMade={changed} />}
      {openDialog?.kind === "edit" && <EditChannel channel={openDialog.channel} onClose={close} onChanged={changed} />}
      {openDialog?.kind === "format" && <FormatPreview channel={openDialog.channel} onClose={close} />}
      {openDialog?.kind === "delete" && (
        <DeleteChannel
          channel={openDialog.channel}
          onClose={close}
          onDone={() => {
            drop(list, openDialog.channel.id);
            void askMessenger();
          }}
        />
      )}
    </div>
  );
}

interface RowProps {
  channel: ChannelView;
  manages: boolean;
  onToggle: () => void;
  onAsk: (kind: "edit" | "delete" | "format") => void;
  onTested: () => void;
}

function Row({ channel, manages, onToggle, onAsk, onTested }: RowProps) {
  const { text, glyph, pill } = channel.state === "ok" && channel.tested_at === null ? UNTESTED : STATES[channel.state];
  const hours = channel.quiet_hours;
  return (
    <li class={channel.enabled ? "" : "dimmed"}>
      {manages && (
        <button type="button" class="switch" role="switch" aria-checked={channel.enabled} aria-label={channel.name} onClick={onToggle} />
      )}
      <div class="grow channel-what">
        <span class="row wrap">
          <span class="medium anywhere">{channel.name}</span>
          <span class="pill small">{channel.kind}</span>
          {channel.enabled ? (
            <span class={`pill small ${pill}`}>
              <Glyph kind={glyph} size="tiny" label="" />
              {channel.state_reason ? t`${text}: ${reasonWords(channel.state_reason)}` : text}
            </span>
          ) : (
            <span class="pill small">{t`off`}</span>
          )}
        </span>
        <span class="t3 meta anywhere">
          <span class="mono">{channel.target_masked}</span> · {SEVERITIES[channel.min_severity]}
          {hours && ` · ${t`quiet ${hours.start}–${hours.end} ${hours.zone}`}`}
          {channel.tested_at !== null && (
            <>
              {" "}
              · {t`last test arrived`} <Time at={channel.tested_at}>{timeOrDate(channel.tested_at, dayStart.value)}</Time>
            </>
          )}
        </span>
      </div>
      {manages && channel.enabled && <ChannelTest channel={channel} onSettled={onTested} />}
      <MenuButton
        label={t`Actions for ${channel.name}`}
        class="quiet slim only-icon"
        groups={[
          [
            ...(manages ? [{ label: t`Edit…`, icon: "settings" as const, run: () => onAsk("edit") }] : []),
            { label: t`Show what it sends…`, icon: "eye", run: () => onAsk("format") },
          ],
          manages ? [{ label: t`Delete…`, icon: "trash-2", danger: true, run: () => onAsk("delete") }] : [],
        ]}
      >
        <Icon name="ellipsis" size="small" />
      </MenuButton>
    </li>
  );
}

function DeleteChannel({ channel, onClose, onDone }: { channel: ChannelView; onClose: () => void; onDone: () => void }) {
  return (
    <FormDialog
      title={t`Delete ${channel.name}`}
      icon="trash-2"
      size="narrow"
      submit={t`Delete channel`}
      kind="destroy"
      onSave={async () => {
        await deleteChannel(channel.id);
        onDone();
      }}
      done={[t`${channel.name} was deleted`]}
      onClose={onClose}
    >
      <p>{t`Messages that wait for it are not sent. Its receiver is notified. Your password is asked for.`}</p>
    </FormDialog>
  );
}
