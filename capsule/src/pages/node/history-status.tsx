/** Texts while the history of a window is loading, or after an error. */

import type { VNode } from "preact";
import { t } from "../../core/text";
import { Banner, Button, Glyph, Icon } from "../../ui";
import { useLoadingStage } from "../../ui/use-loading-stage";

interface Props {
  failure: { detail: string; instance: string } | null;
  /** Whether the history is loading and not shown yet. */
  reading: boolean;
  onRetry: () => void;
}

/** The banner above the charts. Use the time range as its key, so that the wait starts again for each range. */
export function HistoryStatus({ failure, reading, onRetry }: Props) {
  const again = (
    <Button slim icon="rotate-cw" onClick={onRetry}>
      {t`Try again`}
    </Button>
  );
  if (failure) {
    return (
      <Banner kind="crit" alert mark={<Icon name="circle-alert" />} action={again}>
        <b>{t`History could not be read.`}</b> <span class="plain">{failure.detail}</span>{" "}
        <span class="mono plain">{failure.instance}</span>
      </Banner>
    );
  }
  return reading ? <Slow action={again} /> : null;
}

function Slow({ action }: { action: VNode }) {
  return useLoadingStage() === 2 ? (
    <Banner kind="calm" mark={<Glyph kind="wait" label="" />} action={action}>
      {t`Reading the history takes longer than usual.`}
    </Banner>
  ) : null;
}

/** The text over a plot that still shows the data of another window. */
export function Reading({ failed }: { failed: boolean }) {
  return useLoadingStage() ? <span class="reading">{failed ? t`could not be read` : t`reading…`}</span> : null;
}
