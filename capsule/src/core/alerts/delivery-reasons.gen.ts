// Made by scripts/gen/ts.py from groundcontrol/notifications/explaining.py: never edited by hand.

import { t } from "../text/i18n";

/** Why a message waits or is not sent. */
export const DELIVERY_REASONS: Readonly<Record<string, string>> = {
  channel_disabled: t`the channel is off`,
  suspended: t`the organisation was suspended`,
  channel_broken: t`its receiver refused messages`,
  retroactive: t`it was over before Ground Control learned of it`,
  never_told_firing: t`the channel was never notified that it began`,
  about_the_hub: t`the channel leaves the hub out`,
  below_severity: t`the channel takes only worse alerts`,
  acknowledged: t`somebody acknowledged it`,
  suppressed_by_parent: t`another alert of this server explains it`,
  flapping: t`it changes too often`,
  nothing_left: t`nothing fires any more`,
  already_told: t`nothing has changed since the last message`,
  resolved_before_delivery: t`it was over before the message could be sent`,
  cap: t`the channel had too many messages in this hour; one digest will name those that waited`,
  rule_info_only: t`its rule makes notices, which are shown and never sent`,
  summary: t`it was over when the message could go out, and its digest names it`,
  settling: t`Ground Control has just started and waits for its servers`,
  maintenance: t`a maintenance window is open`,
  snoozed: t`somebody snoozed it`,
  cool_down: t`the channel was notified of the same trouble less than an hour ago`,
  quiet_hours: t`quiet hours`,
  grouping: t`it waits for other alerts of the same incident`,
  update_interval: t`the channel was notified of this incident minutes ago`,
  channel_retry: t`the last messages to this channel failed`,
};
