import { h, type ComponentType, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../core/text/i18n";
import { Failure, Loading } from "./load-states";
import { hubAnswers } from "./offline-notice";

/**
 * Reloads the page: a browser does not request a failed module again before that.
 *
 * The hub is asked first, because a reload without it would show the browser's own error. False: the hub did not answer.
 */
export async function reloadPage(): Promise<boolean> {
  const ok = await hubAnswers();
  if (ok) location.reload();
  return ok;
}
/** The text for a module that failed to load. */
export const loadFailureText = (what: string): string => t`Ground Control did not send ${what}. Trying again reloads the page, once Ground Control answers.`;

/**
 * A component that is loaded when it is first shown. `meanwhile` is shown until then and after a failure; `frame` is the class of the element
 * around other states.
 */
export function lazy<P extends object>(what: string, load: () => Promise<ComponentType<P>>, meanwhile?: ((props: P) => VNode | null) | null, frame?: string): (props: P) => VNode | null {
  let held: ComponentType<P> | null = null;
  return function Lazy(props: P): VNode | null {
    const [part, setPart] = useState<ComponentType<P> | null>(() => held);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      // It may have loaded between drawing and this effect.
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
