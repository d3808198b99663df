import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../../core/text";
import { Banner, Glyph, Icon, Logo } from "../../ui";

interface Props {
  title: string;
  text: ComponentChildren;
  /** The reason of a refusal, announced immediately by screen readers. */
  refusal?: string;
  /** The button of the refusal. */
  action?: ComponentChildren;
  /** Information without a refusal. */
  note?: string | null;
  children: ComponentChildren;
}

/** The card around all steps before the page itself. */
export function Frame({ title, text, refusal, action, note, children }: Props) {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  const words =
    location.protocol === "https:" ? t`Encrypted connection` : local ? t`Local connection` : t`This connection is not encrypted`;
  useEffect(() => {
    document.title = `${title} · Stardust`;
    // A browser applies `autofocus` only once per document, so later cards set the focus themselves.
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
            <Banner
              kind={refusal ? "crit" : "calm"}
              alert={!!refusal}
              mark={refusal ? <Glyph kind="fail" label="" /> : <Icon name="info" />}
              action={refusal && action}
            >
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
