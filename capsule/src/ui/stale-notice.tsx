import { t } from "../core/text";
import { Banner } from "./banner";
import { Button } from "./button";
import { Glyph } from "./glyph";

interface Props {
  failure: { detail: string } | null;
  /** Undefined if the data is loaded again without a button. */
  onRetry?: () => void;
}

/** A note above data that could not be refreshed. */
export function StaleNotice({ failure, onRetry }: Props) {
  if (!failure) return null;
  return (
    <Banner mark={<Glyph kind="stale" label="" />} action={onRetry && <Button slim onClick={onRetry}>{t`Try again`}</Button>}>
      <b>{t`This may be out of date.`}</b> <span class="plain">{failure.detail}</span>
    </Banner>
  );
}
