import type { VNode } from "preact";
import { t } from "../core/text";
import { dismiss, pauseToast, MOST, resumeToast, toasts } from "../state/toasts";
import { Button, Glyph } from "../ui";

export function Toasts(): VNode {
  return (
    <div class="toasts" role="region" aria-label={t`Notifications`}>
      {toasts.value.slice(-MOST).map(({ id, kind, title, text, action }) => (
        <div
          key={id}
          class="toast"
          role={kind === "fail" ? "alert" : "status"}
          onMouseEnter={() => pauseToast(id)}
          onMouseLeave={() => resumeToast(id)}
          onFocusCapture={() => pauseToast(id)}
          onBlurCapture={() => resumeToast(id)}
        >
          <Glyph kind={kind} size="large" label="" />
          <div class="grow">
            <b class="strong">{title}</b>
            {text && <p class="t3">{text}</p>}
          </div>
          {action && (
            <Button
              slim
              kind={kind === "fail" ? "" : "quiet"}
              onClick={() => {
                dismiss(id);
                action.run();
              }}
            >
              {action.label}
            </Button>
          )}
          <Button slim kind="quiet" name={t`Dismiss`} icon="x" onClick={() => dismiss(id)} />
        </div>
      ))}
    </div>
  );
}
