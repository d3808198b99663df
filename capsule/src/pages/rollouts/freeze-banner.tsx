/** A banner while a freeze over every server is in force. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { followFreezes, freezes } from "../../state/freezes";
import { deleteWindow } from "../../state/rollouts";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type WindowView } from "../../state/types";
import { Banner, Button, Icon } from "../../ui";

/** On a page that does not follow the freezes itself. */
export function FollowedFreezes(): VNode {
  useEffect(followFreezes, []);
  return <FreezeBanners />;
}

export const FreezeBanners = (): VNode => (
  <>
    {freezes.value.map((one) => (
      <FreezeBanner key={one.id} one={one} />
    ))}
  </>
);

function FreezeBanner({ one }: { one: WindowView }): VNode {
  const [busy, setBusy] = useState(false);
  const { began_at: began, by, reason, name } = one;
  const end = async (): Promise<void> => {
    setBusy(true);
    try {
      await deleteWindow(one.id);
      toast("done", t`The freeze is over`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "auth.step_up_required") toast("fail", t`Not ended`, error.detail);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Banner
      mark={<Icon name="lock" />}
      action={
        began === null ? (
          <a class="button slim" href="/rollouts/calendar">{t`Calendar`}</a>
        ) : (
          mayAct.value && <Button slim busy={busy} onClick={() => void end()}>{t`End it`}</Button>
        )
      }
    >
      <b>{t`Every server is frozen.`}</b>{" "}
      <span class="plain">
        {began === null ? t`By the planned freeze “${name}”.` : t`By ${by}, since ${timeOrDate(began, dayStart.value)}: ${reason}`}
      </span>
    </Banner>
  );
}
