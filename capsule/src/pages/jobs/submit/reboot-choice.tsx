import { t } from "../../../core/text";
import { Segmented } from "../../../ui";

interface Props {
  rebooting: boolean;
  /** Whether a plan expects that a reboot is needed. */
  expected: boolean;
  onPick: (rebooting: boolean) => void;
}

/** The choice whether the server reboots after an upgrade that needs a reboot. */
export function RebootChoice({ rebooting, expected, onPick }: Props) {
  return (
    <div class="row wrap">
      <span class="medium">{t`Reboot afterwards`}</span>
      <Segmented
        label={t`Reboot afterwards`}
        value={rebooting ? "needed" : "later"}
        onPick={(picked) => onPick(picked === "needed")}
        options={[
          { key: "later", label: t`No` },
          { key: "needed", label: t`If needed` },
        ]}
      />
      <span class="t3 meta">
        {rebooting
          ? t`The server reboots after the upgrade if it needs that, and not while packages are broken.`
          : expected
            ? t`The new version is not in use before a reboot.`
            : ""}
      </span>
    </div>
  );
}
