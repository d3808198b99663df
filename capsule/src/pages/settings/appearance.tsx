import type { VNode } from "preact";
import { t } from "../../core/say";
import { preferences, savePreferences } from "../../state/preferences";
import { setTheme, theme, type Theme } from "../../state/theme";
import { toast } from "../../state/toasts";
import { ApiError, type PreferencesPatch } from "../../state/types";
import { Choice } from "../../ui/choice";
import { Switch } from "../../ui/form";

async function save(patch: PreferencesPatch): Promise<void> {
  try {
    await savePreferences(patch);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast("fail", t`The setting was not saved`, error.detail, { label: t`Retry`, run: () => void save(patch) });
  }
}

export function AppearancePage(): VNode {
  return (
    <div class="settings">
      <section class="card" aria-label={t`Theme`}>
        <Choice<Theme>
          label={t`Theme`}
          value={theme.value}
          onPick={setTheme}
          options={[
            { key: "auto", label: t`As the system`, hint: t`Light by day and dark by night, when the system does so.` },
            { key: "light", label: t`Light`, hint: t`Dark text on light surfaces.` },
            { key: "dark", label: t`Dark`, hint: t`Light text on dark surfaces.` },
          ]}
        />
        <p class="t3 meta">{t`It is kept in this browser, for everybody who uses it. The key t changes it anywhere.`}</p>
      </section>
      <section class="card" aria-label={t`Keys`}>
        <Switch label={t`Single keys are commands`} hint={t`Such as j and k for the next row and the one before, or g f for the fleet. The key ? lists them. Off, only Ctrl K and the arrows act.`} checked={preferences.value.single_keys} onCheck={(on) => void save({ single_keys: on })} />
      </section>
      <section class="card" aria-label={t`Units`}>
        <Switch label={t`Networks in bits per second`} hint={t`Mbit/s in the place of MB/s wherever a network is shown. Disks stay in bytes, and so does what is exported.`} checked={preferences.value.network_bits} onCheck={(on) => void save({ network_bits: on })} />
      </section>
    </div>
  );
}
