/** What is said while the history of a window is being read, or could not be. */

import type { VNode } from "preact";
import { t } from "../../core/text/i18n";
import { Banner } from "../../ui/banner";
import { Button } from "../../ui/button";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { useLoadingStage } from "../../ui/use-loading-stage";

interface Props {
  failure: { detail: string; instance: string } | null;
  /** It is being read for the first time. */
  reading: boolean;
  onRetry: () => void;
}

/** Above the charts; give it the window as its key, since each is awaited for itself. */
export function HistoryStatus({ failure, reading, onRetry }: Props): VNode | null {
  const again = (
    <Button slim icon="rotate-cw" onClick={onRetry}>
      {t`Try again`}
    </Button>
  );
  if (failure) {
    return (
      <Banner kind="crit" alert mark={<Icon name="circle-alert" />} action={again}>
        <b>{t`History could not be read.`}</b> <span class="plain">{failure.detail}</span> <span class="mono plain">{failure.instance}</span>
      </Banner>
    );
  }
  return reading ? <Slow action={again} /> : null;
}

function Slow({ action }: { action: VNode }): VNode | null {
  return useLoadingStage() === 2 ? (
    <Banner kind="calm" mark={<Glyph kind="wait" label="" />} action={action}>
      {t`Reading the history takes longer than usual.`}
    </Banner>
  ) : null;
}

/** On a plot that still shows another window than the one that was asked for. */
export function Reading({ failed }: { failed: boolean }): VNode | null {
  return useLoadingStage() ? <span class="reading">{failed ? t`could not be read` : t`reading…`}</span> : null;
}
