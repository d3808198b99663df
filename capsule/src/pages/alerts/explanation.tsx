/** One sentence for each channel: when it was notified of an alert, or why not. */

import { clock, t, timeOrDate } from "../../core/text";
import { explain } from "../../state/alert-calls";
import { dayStart, hubNow } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import type { AlertView } from "../../state/types";
import { Failure, Glyph, Loading } from "../../ui";
import { Time } from "../../ui/time";
import { useAnswer } from "../use-answer";

const MARKS = { send: "done", defer: "wait", skip: "ended" } as const;

/** Times that are nearer than this have seconds. */
const NEAR_S = 600;
const timeText = (at: number): string => (at > hubNow() && at - hubNow() < NEAR_S ? clock(at) : timeOrDate(at, dayStart.value));

export function Explanation({ alert }: { alert: AlertView }) {
  // The decisions may change with the state and the flags of the alert.
  const { found, failure, load } = useAnswer(() => explain(alert.id), [alert.id, alert.state, alert.level, JSON.stringify(alert.flags)]);
  if (failure) return <Failure title={t`It could not be explained`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={1} what={t`the explanation`} onRetry={load} />;
  if (!found.length)
    return (
      <p class="t2">
        {t`There is no channel yet, so nobody is notified.`} <a class="accent" href="/alerts/channels">{t`Channels`}</a>
      </p>
    );
  return (
    <ul class="explained">
      {found.map((one) => (
        <li key={one.channel_id} class="row">
          <Glyph kind={MARKS[one.decision]} label="" />
          <span class="anywhere">
            {one.parts.map(({ text, at }) =>
              at === null ? (
                text
              ) : (
                <Time key={text} at={at}>
                  {timeText(at)}
                </Time>
              ),
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Other alerts are explained in their rows. */
const MOST_TOLD = 3;

/** Who was told of the first alerts of an incident: each channel with its time, or why not. */
export function WhoWasTold({ alerts }: { alerts: readonly AlertView[] }) {
  if (!alerts.length) return null;
  return (
    <section class="incident-part" aria-label={t`Who was told`}>
      <h3 class="meta">{t`Who was told`}</h3>
      {alerts.slice(0, MOST_TOLD).map((alert) => (
        <div key={alert.id}>
          {alerts.length > 1 && (
            <p class="t2 meta">{[alert.rule_name, alert.object, alert.node_id && nodeLabel(alert.node_id)].filter(Boolean).join(" · ")}</p>
          )}
          <Explanation alert={alert} />
        </div>
      ))}
      {alerts.length > MOST_TOLD && <p class="t3 meta">{t`Of the others, “Explain” in their rows says it.`}</p>}
    </section>
  );
}
