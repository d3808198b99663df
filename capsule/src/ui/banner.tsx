import type { ComponentChildren } from "preact";

interface BannerProps {
  kind?: "" | "crit" | "info" | "calm";
  mark: ComponentChildren;
  /** Whether screen readers announce it immediately. */
  alert?: boolean;
  children: ComponentChildren;
  action?: ComponentChildren;
}

export function Banner({ kind = "", mark, alert = false, children, action }: BannerProps) {
  return (
    <div class={`banner ${kind}`} role={alert ? "alert" : "status"}>
      {mark}
      <span class="grow">{children}</span>
      {action}
    </div>
  );
}
