import type { VNode } from "preact";
import { updatesHasTabs } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text";
import { ids } from "../../state/fleet";
import { go } from "../../state/router";
import { user } from "../../state/session";
import { type Tab, Tabs } from "../../ui/tabs";
import { FollowedFreezes } from "./freeze-banner";

export type PatchingTab = "updates" | "rollouts" | "policies" | "calendar" | "status";

const TABS: readonly Tab[] = [
  { key: "updates", label: t`Updates`, href: "/updates" },
  { key: "rollouts", label: t`Roll-outs`, href: "/rollouts" },
  { key: "policies", label: t`Patch policies`, href: "/rollouts/policies" },
  { key: "calendar", label: t`Calendar`, href: "/rollouts/calendar" },
  { key: "status", label: t`Patch status`, href: "/rollouts/status" },
];

/** The tabs of patching, below the freeze that binds them all. */
export function PatchingTabs({ tab }: { tab: PatchingTab }): VNode {
  const limited = user.value?.limited ?? false;
  return (
    <>
      <FollowedFreezes />
      {(tab !== "updates" || updatesHasTabs(ids.value.length, limited)) && (
        <Tabs label={t`Parts of patching`} tabs={TABS} current={tab} onArrow={(next) => go(next.href)} />
      )}
      {limited && tab !== "updates" && <p class="meta t3">{t`You see what is about your servers. The rest is left out.`}</p>}
    </>
  );
}
