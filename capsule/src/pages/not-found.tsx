import { t } from "../core/text";
import { Empty } from "../ui";

export function NotFound() {
  return (
    <div class="page">
      <h1 class="hidden-text" tabIndex={-1}>
        {t`Not found`}
      </h1>
      <Empty icon="satellite" title={t`There is no such page`} text={t`The address is wrong, or what it showed is gone.`}>
        <a class="button" href="/">
          {t`Go to the fleet`}
        </a>
      </Empty>
    </div>
  );
}
