import type { ComponentChildren, VNode } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../../core/say";
import { Icon, Logo } from "../../ui/icon";
import { Sky } from "./sky";

/** One card under the sky: everything that comes before the page itself. */
export function Frame({ title, text, alert, children }: { title: string; text: ComponentChildren; alert?: ComponentChildren; children: ComponentChildren }): VNode {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  const words = location.protocol === "https:" ? t`Encrypted connection` : local ? t`Connection within this machine` : t`This connection is not encrypted`;
  useEffect(() => {
    document.title = `${title} · Stardust`;
  }, [title]);
  return (
    <div class="login">
      <Sky />
      <main class="middle" id="main">
        <div class="box">
          <div>
            <Logo size={40} />
            <h1>{title}</h1>
            <p class="t3">{text}</p>
          </div>
          {alert}
          {children}
        </div>
      </main>
      <footer class="foot">
        <span>Stardust</span>
        <span class="row">
          <Icon name="lock" size="small" />
          {words}
        </span>
      </footer>
    </div>
  );
}
