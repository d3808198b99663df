import type { ComponentChildren, VNode } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { Banner } from "../../ui/banner";
import { Glyph } from "../../ui/glyph";
import { Icon, Logo } from "../../ui/icon";

interface Props {
  title: string;
  text: ComponentChildren;
  /** Why it was refused, spoken at once. */
  refusal?: string;
  /** What helps against it. */
  action?: ComponentChildren;
  /** What is to be known where nothing was refused. */
  note?: string | null;
  children: ComponentChildren;
}

/** One card under the sky: everything that comes before the page itself. */
export function Frame({ title, text, refusal, action, note, children }: Props): VNode {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  const words = location.protocol === "https:" ? t`Encrypted connection` : local ? t`Local connection` : t`This connection is not encrypted`;
  useEffect(() => {
    document.title = `${title} · Stardust`;
    // A browser heeds `autofocus` once for a document: the second card has to ask.
    if (document.activeElement === document.body) document.querySelector<HTMLElement>("[autofocus]")?.focus();
  }, [title]);
  return (
    <div class="login">
      <main class="middle" id="main">
        <div class="box">
          <div>
            <Logo size={40} />
            <h1>{title}</h1>
            <p class="t3">{text}</p>
          </div>
          {(refusal || note) && (
            <Banner kind={refusal ? "crit" : "calm"} alert={!!refusal} mark={refusal ? <Glyph kind="fail" label="" /> : <Icon name="info" />} action={refusal && action}>
              {refusal || note}
            </Banner>
          )}
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
