import { h, type ComponentType, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../core/text/i18n";
import { Failure, Loading } from "./load-states";
import { hubAnswers } from "./offline-notice";

/**
 * A browser remembers that a part did not come, and asks for it again only as the page is loaded anew: so nobody is left with what never works.
 * A hub that does not answer is asked first: in the page's place there would be the browser's own error. False: it did not answer.
 */
export async function reloadPage(): Promise<boolean> {
  const ok = await hubAnswers();
  if (ok) location.reload();
  return ok;
}
/** What is said of a part that did not come. */
export const loadFailureText = (what: string): string => t`Ground Control did not send ${what}. Trying again reloads the page, once Ground Control answers.`;

/** A part of the page that is fetched when it is first shown; `meanwhile`: what stands there until then, and if it does not come; `frame`: the class of what is around the rest. */
export function lazy<P extends object>(what: string, load: () => Promise<ComponentType<P>>, meanwhile?: ((props: P) => VNode | null) | null, frame?: string): (props: P) => VNode | null {
  let held: ComponentType<P> | null = null;
  return function Lazy(props: P): VNode | null {
    const [part, setPart] = useState<ComponentType<P> | null>(() => held);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      // It may have come between the drawing and this.
      if (held) return setPart(() => held);
      load().then(
        (loaded) => {
          held = loaded;
          setPart(() => loaded);
        },
        () => setFailed(true),
      );
    }, []);
    if (part) return h(part as ComponentType<object>, props);
    if (meanwhile) return meanwhile(props);
    return (
      <div class={frame}>
        {failed ? <Failure title={t`This part of the page could not be loaded`} error={{ detail: loadFailureText(what), instance: "", status: 404 }} onRetry={() => void reloadPage()} /> : <Loading what={what} />}
      </div>
    );
  };
}
