import type { VNode } from "preact";
import { t } from "../../core/text/i18n";
import { ids } from "../../state/fleet";
import { go } from "../../state/router";
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

/** The tabs of patching, below the freeze that binds them all. A fleet of one server needs none of them. */
export function PatchingTabs({ tab }: { tab: PatchingTab }): VNode {
  return (
    <>
      <FollowedFreezes />
      {(tab !== "updates" || ids.value.length > 1) && (
        <Tabs label={t`Parts of patching`} tabs={TABS} current={tab} onArrow={(next) => go(next.href)} />
      )}
    </>
  );
}
