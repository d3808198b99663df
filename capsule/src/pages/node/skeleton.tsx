import { t } from "../../core/text";
import { Banner, Button, Glyph, isLost, OfflineNotice } from "../../ui";
import { useLoadingStage } from "../../ui/use-loading-stage";

const CARDS = ["two-wide", "", "", "", "", "", "", ""] as const;

/** A placeholder for a plot. */
export function Skeleton({ what }: { what: string }) {
  return useLoadingStage() ? <div class="skeleton plot-skeleton" role="group" aria-busy="true" aria-label={t`Loading ${what}`} /> : null;
}

/** A placeholder for a node's page, in the shape of its header and cards. */
export function PageSkeleton({ name, onRetry }: { name: string | undefined; onRetry: () => void }) {
  const stage = useLoadingStage();
  if (!stage) return null;
  if (isLost()) {
    return (
      <OfflineNotice what={name ?? t`the node`}>
        <a class="button slim" href="/">
          {t`Go to the fleet`}
        </a>
      </OfflineNotice>
    );
  }
  return (
    <div class="stack" role="group" aria-busy="true" aria-label={t`Loading the node`}>
      {stage === 2 && (
        <Banner
          kind="calm"
          mark={<Glyph kind="wait" label="" />}
          action={
            <Button slim onClick={onRetry}>
              {t`Try again`}
            </Button>
          }
        >
          {t`Loading the node takes longer than usual.`}
        </Banner>
      )}
      <div class="head-skeleton">
        <span class="skeleton" />
        <span class="skeleton" />
      </div>
      <div class="panels">
        {CARDS.map((wide, index) => (
          <div key={index} class={`card card-skeleton ${wide}`}>
            <span class="skeleton" />
            <span class="skeleton" />
          </div>
        ))}
      </div>
    </div>
  );
}
