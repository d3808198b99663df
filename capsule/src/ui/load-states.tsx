/** Placeholders for content that is empty, failed or still loading. */

import type { ComponentChildren } from "preact";
import { t } from "../core/text";
import { Button } from "./button";
import { Icon, type IconName } from "./icon";
import { isLost } from "./hub-link";
import { OfflineNotice, useOnceBack } from "./offline-notice";
import { useLoadingStage } from "./use-loading-stage";

export function Empty({
  icon,
  title,
  text,
  children,
}: {
  icon: IconName;
  title: string;
  text: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <div class="card empty">
      <Icon name={icon} size="huge" />
      <h2>{title}</h2>
      <p>{text}</p>
      {children && <div class="row">{children}</div>}
    </div>
  );
}

interface FailureLike {
  detail: string;
  instance: string;
  status: number;
}

/** The status codes for a hub that is offline; a proxy answers with 502 to 504. */
const OFFLINE_STATUS = [0, 502, 503, 504];

/** The error of one panel; the rest of the page keeps working. */
export function Failure({ title, error, onRetry }: { title: string; error: FailureLike; onRetry: () => void }) {
  useOnceBack(OFFLINE_STATUS.includes(error.status), onRetry);
  return (
    <div class="card empty" role="alert">
      <Icon name="circle-alert" size="huge" />
      <h2>{title}</h2>
      <p>
        {error.detail} {error.instance && <span class="mono">{error.instance}</span>}
      </p>
      <div class="row">
        <Button slim icon="rotate-cw" onClick={onRetry}>
          {t`Try again`}
        </Button>
      </div>
    </div>
  );
}

export function Skeletons({ rows }: { rows: number }) {
  return (
    <>
      {Array.from({ length: rows }, (_, index) => (
        <div class="loading-row" key={index}>
          <span class="skeleton dot" />
          <span class={`skeleton w${index % 3}`} />
          <span class="skeleton" />
          <span class="skeleton" />
        </div>
      ))}
    </>
  );
}

/** A placeholder for rows: empty at first, then a skeleton, then a sentence as well. `above` is the class of a placeholder above the rows. */
export function Loading({ rows = 5, what, onRetry, above }: { rows?: number; what: string; onRetry?: () => void; above?: string }) {
  const stage = useLoadingStage();
  if (stage === 0) return null;
  if (isLost()) return <OfflineNotice what={what} />;
  const table = (
    <div class="card grid-table" role="group" aria-busy="true" aria-label={t`Loading ${what}`}>
      {stage === 2 && (
        <div class="empty" role="status">
          <p>{t`Loading ${what} takes longer than usual.`}</p>
          {onRetry && (
            <Button slim onClick={onRetry}>
              {t`Try again`}
            </Button>
          )}
        </div>
      )}
      <Skeletons rows={rows} />
    </div>
  );
  return above ? (
    <>
      <div class={`card ${above}`} aria-hidden="true" />
      {table}
    </>
  ) : (
    table
  );
}
