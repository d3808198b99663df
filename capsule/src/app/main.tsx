import { render, type VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { LoginPage } from "../pages/login/login";
import { place } from "../state/router";
import { phase, resume } from "../state/session";
import { Dialogs, StepUp } from "./dialogs";
import { listenToKeys } from "./keys";
import { routeOf } from "./routes";
import { Shell } from "./shell";
import { Toasts } from "./toasts";

function App(): VNode | null {
  const at = phase.value;
  if (at === "loading") return null;
  if (at !== "ready") {
    return (
      <>
        <LoginPage />
        <StepUp />
      </>
    );
  }
  return <Signed />;
}

function Signed(): VNode {
  const route = routeOf(place.value.path);
  const first = useRef(true);
  useEffect(() => {
    const title = (): string => document.querySelector("main h1")?.textContent ?? "";
    // The new page draws first; then its title is announced by moving the focus there.
    const timer = setTimeout(() => {
      document.title = title() ? `${title()} · Stardust` : "Stardust";
      if (!first.current && !document.querySelector("dialog[open]")) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
      first.current = false;
    }, 50);
    return () => clearTimeout(timer);
  }, [route.key]);
  return (
    <>
      <Shell route={route}>{route.view()}</Shell>
      <Dialogs />
      <Toasts />
    </>
  );
}

listenToKeys();
void resume();
render(<App />, document.getElementById("root") as HTMLElement);
