import type { VNode } from "preact";
import { setTheme, theme, type Theme } from "../../state/theme";
import { Choice } from "../../ui/choice";

export function AppearancePage(): VNode {
  return (
    <div class="settings">
      <section class="card" aria-label="Theme">
        <Choice<Theme>
          label="Theme"
          value={theme.value}
          onPick={setTheme}
          options={[
            { key: "auto", label: "As the system", hint: "Light by day and dark by night, when the system does so." },
            { key: "light", label: "Light", hint: "Dark text on light surfaces." },
            { key: "dark", label: "Dark", hint: "Light text on dark surfaces." },
          ]}
        />
        <p class="t3 meta">It is kept in this browser, for everybody who uses it. The key t changes it anywhere.</p>
      </section>
    </div>
  );
}
