/** What a roll-out did when: each of its states, with begin and end. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { ROLLOUT_STATES } from "../../core/rollouts/rollout-text";
import { duration, t, timeOrDate } from "../../core/text";
import { dayStart, now } from "../../state/clock";
import type { RolloutView } from "../../state/types";

export function RolloutPhases({ rollout }: { rollout: RolloutView }): VNode {
  const [open, setOpen] = useState(false);
  const line = ({ state, wave, from_at, to_at }: RolloutView["phases"][number]): string => {
    const where = wave === 0 ? t`canaries` : t`wave ${wave}`;
    const what = state === "running" || state === "holding" ? `${ROLLOUT_STATES[state]} (${where})` : ROLLOUT_STATES[state];
    const begun = timeOrDate(from_at, dayStart.value);
    if (to_at !== null) return t`${what}: ${begun} to ${timeOrDate(to_at, dayStart.value)}, ${duration(Math.max(0, to_at - from_at))}`;
    return rollout.ended_at !== null ? t`${what}: ${begun}` : t`${what}: since ${begun}, ${duration(Math.max(0, now.value - from_at))}`;
  };
  return (
    <details class="options" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t`Times`}</summary>
      {open && (
        <ol class="meta">
          {rollout.phases.map((phase) => (
            <li key={`${phase.from_at} ${phase.state}`}>{line(phase)}</li>
          ))}
        </ol>
      )}
    </details>
  );
}
