/** A banner on every page while notifications are not sent. */

import { age, t } from "../../core/text";
import { now } from "../../state/clock";
import { go, pageUrl } from "../../state/router";
import type { NotificationsView } from "../../state/types";
import { Banner, Button, Icon } from "../../ui";

/** Where it says that nobody is notified: the fleet, the firing alerts, and the page of each incident. */
const TOLD_OF = /^\/(?:alerts(?:\/[0-9a-z]{26})?)?$/;

export function MessengerTrouble({ channels_broken: broken, oldest_due_at: oldest, nobody_told: untold }: NotificationsView) {
  const [first = ""] = broken;
  if (untold && !broken.length) {
    if (!TOLD_OF.test(pageUrl.value.path)) return null;
    return (
      <Banner
        mark={<Icon name="bell" />}
        action={
          <Button slim onClick={() => go("/alerts/channels")}>
            {t`Channels`}
          </Button>
        }
      >
        <b>{t`Alerts fire and nobody is notified.`}</b> <span class="plain">{t`No channel has passed a test yet.`}</span>
      </Banner>
    );
  }
  return (
    <Banner
      kind={broken.length ? "crit" : ""}
      mark={<Icon name="bell" />}
      action={
        <Button slim onClick={() => go(broken.length ? "/alerts/channels" : "/alerts/deliveries")}>
          {broken.length ? t`Channels` : t`Delivery log`}
        </Button>
      }
    >
      <b>
        {broken.length > 1
          ? t`${broken.length} channels are broken.`
          : broken.length
            ? t`The channel “${first}” is broken.`
            : t`Notifications are late.`}
      </b>{" "}
      <span class="plain">
        {broken.length
          ? t`Nobody is notified of alerts through it.`
          : t`The oldest one has waited for ${age(now.value - (oldest ?? now.value))}.`}
      </span>
    </Banner>
  );
}
