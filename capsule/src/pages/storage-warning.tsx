import { t, tElements } from "../core/text";
import { Banner, Icon } from "../ui";

/** A banner for a hub that answers but cannot write to its disk. */
export function StorageWarning() {
  return (
    <Banner kind="crit" mark={<Icon name="circle-alert" />} alert>
      <b>{t`Ground Control cannot save data.`}</b>{" "}
      <span class="plain">
        {tElements`Values are live or older; servers keep new ones until it can save again. Run ${<code>stardust doctor</code>} on its machine to see why.`}
      </span>
    </Banner>
  );
}
