import type { VNode } from "preact";
import { t } from "../core/say";
import { dismiss, hold, MOST, resume, toasts } from "../state/toasts";
import { Button } from "../ui/button";
import { Glyph } from "../ui/glyph";

export function Toasts(): VNode {
  return (
    <div class="toasts" role="region" aria-label={t`Notifications`}>
      {toasts.value.slice(-MOST).map(({ id, kind, title, text, action }) => (
        <div key={id} class="toast" role={kind === "fail" ? "alert" : "status"} onMouseEnter={() => hold(id)} onMouseLeave={() => resume(id)} onFocusCapture={() => hold(id)} onBlurCapture={() => resume(id)}>
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
