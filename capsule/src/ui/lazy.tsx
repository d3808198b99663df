import { h, type ComponentType, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../core/say";
import { Failure, Loading } from "./parts";

/** A part of the page that is fetched when it is first shown; `meanwhile`: what stands there until then, and if it does not come. */
export function lazy<P extends object>(what: string, load: () => Promise<ComponentType<P>>, meanwhile?: (props: P) => VNode | null): (props: P) => VNode | null {
  let held: ComponentType<P> | null = null;
  return function Lazy(props: P): VNode | null {
    const [part, setPart] = useState<ComponentType<P> | null>(() => held);
    const [failed, setFailed] = useState(false);
    const fetchIt = (): void => {
      setFailed(false);
      load().then(
        (loaded) => {
          held = loaded;
          setPart(() => loaded);
        },
        () => setFailed(true),
      );
    };
    useEffect(() => {
      if (!held) fetchIt();
    }, []);
    if (part) return h(part as ComponentType<object>, props);
    if (meanwhile) return meanwhile(props);
    if (failed) return <Failure title={t`This part of the page could not be loaded`} error={{ detail: t`Ground Control did not send ${what}.`, instance: "", status: 0 }} onRetry={fetchIt} />;
    return <Loading what={what} />;
  };
}
