import { h, type ComponentType, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../core/text";
import { Failure, Loading } from "./load-states";
import { hubAnswers } from "./hub-link";

/**
 * Reloads the page, because a browser requests a failed module only once. Returns false, without a reload, if the hub does not answer: the
 * browser would show its own error page.
 */
export async function reloadPage(): Promise<boolean> {
  const ok = await hubAnswers();
  if (ok) location.reload();
  return ok;
}

/** The text for a module that failed to load. */
export const loadFailureText = (what: string): string =>
  t`Ground Control did not send ${what}. Trying again reloads the page, once Ground Control answers.`;

/**
 * A component that is loaded when it is first shown. `meanwhile` draws it until then and after a failure. Without `meanwhile` a placeholder or
 * the failure is shown, in an element with the class `frame`.
 */
export function lazy<P extends object>(
  what: string,
  load: () => Promise<ComponentType<P>>,
  meanwhile?: ((props: P) => VNode | null) | null,
  frame?: string,
): (props: P) => VNode | null {
  let cached: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [part, setPart] = useState<ComponentType<P> | null>(() => cached);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      // The component may have loaded between drawing and this effect.
      if (cached) return setPart(() => cached);
      load().then(
        (loaded) => {
          cached = loaded;
          setPart(() => loaded);
        },
        () => setFailed(true),
      );
    }, []);
    if (part) return h(part as ComponentType<object>, props);
    if (meanwhile) return meanwhile(props);
    return (
      <div class={frame}>
        {failed ? (
          <Failure
            title={t`This part of the page could not be loaded`}
            error={{ detail: loadFailureText(what), instance: "", status: 404 }}
            onRetry={() => void reloadPage()}
          />
        ) : (
          <Loading what={what} />
        )}
      </div>
    );
  };
}
