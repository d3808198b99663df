import { t } from "../../core/text";
import { preferences, savePreferences } from "../../state/preferences";
import { setTheme, theme, type Theme } from "../../state/theme";
import { toast } from "../../state/toasts";
import { ApiError, type PreferencesPatch } from "../../state/types";
import { RadioCards } from "../../ui/radio-cards";
import { Switch } from "../../ui/form";

async function save(patch: PreferencesPatch): Promise<void> {
  try {
    await savePreferences(patch);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast("fail", t`The setting was not saved`, error.detail, { label: t`Retry`, run: () => void save(patch) });
  }
}

export function AppearancePage() {
  return (
    <div class="settings">
      <section class="card" aria-label={t`Theme`}>
        <RadioCards<Theme>
          label={t`Theme`}
          value={theme.value}
          onPick={setTheme}
          options={[
            { key: "auto", label: t`Same as the system`, hint: t`Follows the light or dark setting of your system.` },
            { key: "light", label: t`Light`, hint: t`Dark text on light surfaces.` },
            { key: "dark", label: t`Dark`, hint: t`Light text on dark surfaces.` },
          ]}
        />
        <p class="t3 meta">{t`Saved in this browser, for everyone who uses it. Press t anywhere to change it.`}</p>
      </section>
      <section class="card" aria-label={t`Keyboard shortcuts`}>
        <Switch
          label={t`Single-key shortcuts`}
          hint={t`For example j and k for the next and previous row, or g f for the fleet. Press ? to list them. When off, Ctrl K, Esc and the arrow keys still work.`}
          checked={preferences.value.single_keys}
          onCheck={(on) => void save({ single_keys: on })}
        />
      </section>
      <section class="card" aria-label={t`Units`}>
        <Switch
          label={t`Network speed in bits per second`}
          hint={t`Mbit/s instead of MB/s wherever network speed is shown. Disks and exports stay in bytes.`}
          checked={preferences.value.network_bits}
          onCheck={(on) => void save({ network_bits: on })}
        />
      </section>
    </div>
  );
}
