/** For each channel one sentence: when it was notified of an alert, or why not. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { explain } from "../../state/alert-calls";
import { ApiError, type AlertView, type ChannelExplanation } from "../../state/types";
import { Failure, Loading } from "../../ui/load-states";
import { Glyph } from "../../ui/glyph";

const MARKS = { send: "done", defer: "wait", skip: "off" } as const;

export function Explanation({ alert }: { alert: AlertView }): VNode {
  const [found, setFound] = useState<readonly ChannelExplanation[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const load = async (): Promise<void> => {
    setFailure(null);
    try {
      setFound(await explain(alert.id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    }
  };
  // Another state or flag may change what is decided.
  useEffect(() => void load(), [alert.id, alert.state, alert.level, JSON.stringify(alert.flags)]);
  if (failure) return <Failure title={t`It could not be explained`} error={failure} onRetry={() => void load()} />;
  if (!found) return <Loading rows={1} what={t`the explanation`} onRetry={() => void load()} />;
  if (!found.length) return <p class="t2">{t`There is no channel yet, so nobody is notified.`} <a class="accent" href="/alerts/channels">{t`Channels`}</a></p>;
  return (
    <ul class="explained">
      {found.map((one) => (
        <li key={one.channel_id} class="row">
          <Glyph kind={MARKS[one.decision]} label="" />
          <span class="anywhere">{one.sentence}</span>
        </li>
      ))}
    </ul>
  );
}
