import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../core/text";
import { LoginPage } from "../pages/login/login";
import { hubResponds, connections, lostSince, retryIn, tryNow } from "../state/live/link";
import { pageUrl } from "../state/router";
import { phase, resume } from "../state/session";
import { Boundary, lazy, setHub } from "../ui";
import "../ui/preact-leak-fix";
import { Dialogs, StepUp } from "./dialogs";
import { listenToShortcuts } from "./shortcuts";
import { routeOf } from "./routes";
import { Shell } from "./shell";
import { Toasts } from "./toasts";

/** The page that a link in an alert message opens; it needs no sign-in. */
const LinkPage = lazy(t`the page`, async () => (await import("../pages/alerts/link")).LinkPage, null, "page");
/** Where a provider of single sign-on sends the browser back to. */
const SsoReturn = lazy(t`the page`, async () => (await import("../pages/login/sso")).SsoReturn, null, "page");
const SignedOut = lazy(t`the page`, async () => (await import("../pages/login/sso")).SignedOut, null, "page");
const OutsidePage = lazy(t`the page`, async () => (await import("../pages/login/outside")).OutsidePage, null, "page");
const TITLE_MS = 50;
/** The interval at which the page checks how long the session lasts. */
const CHECK_MS = 30_000;

function App() {
  const at = phase.value;
  const wasSignedOut = useRef(false);
  if (pageUrl.value.path === "/a") return <LinkPage />;
  if (pageUrl.value.path === "/signed-out") return <SignedOut />;
  if (at === "loading") return null;
  if (pageUrl.value.path === "/oidc" && (at === "login" || at === "ready"))
    return (
      <>
        <SsoReturn />
        <StepUp />
      </>
    );
  if (at === "outside")
    return (
      <>
        <OutsidePage />
        <StepUp />
      </>
    );
  if (at !== "ready") {
    wasSignedOut.current = true;
    return (
      <>
        <LoginPage />
        <StepUp />
      </>
    );
  }
  return <SignedIn loaded={!wasSignedOut.current} />;
}

/** `loaded`: true if the page was just loaded and starts at its top, false after a sign-in on this page. */
function SignedIn({ loaded }: { loaded: boolean }) {
  const route = routeOf(pageUrl.value.path);
  const first = useRef(loaded);
  useEffect(() => {
    const justLoaded = first.current;
    first.current = false;
    const before = document.activeElement;
    let announced: Element | null = null;
    // Moves the focus to the title once the new page is drawn, and again when the page replaces a placeholder of the title. Loading may
    // take long, and the text of a title may change.
    const announce = (): void => {
      const head = document.querySelector<HTMLElement>("main h1");
      document.title = head?.textContent ? `${head.textContent} · Stardust` : "Stardust";
      // A user who already moved the focus keeps it: this effect may run after a field of the new page got it.
      if (
        head !== announced &&
        !justLoaded &&
        [document.body, announced ?? before].includes(document.activeElement) &&
        !document.querySelector("dialog[open], main :is(input, textarea, select):focus")
      )
        head?.focus({ preventScroll: true });
      announced = head;
    };
    const observer = new MutationObserver(announce);
    const timer = setTimeout(() => {
      observer.observe(document.querySelector("main") as HTMLElement, { childList: true, characterData: true, subtree: true });
      announce();
    }, TITLE_MS);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
    };
  }, [route.key]);
  useEffect(() => {
    const timer = setInterval(
      () =>
        void import("../state/session-expiry").then(
          ({ checkExpiry }) => checkExpiry(),
          () => undefined /* the banner reports an offline hub */,
        ),
      CHECK_MS,
    );
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <Shell route={route}>
        <Boundary key={route.key}>{route.view()}</Boundary>
      </Shell>
      <Dialogs />
      <Toasts />
    </>
  );
}

setHub({ lostSince, retryIn, connections, tryNow, answers: hubResponds });
listenToShortcuts();
void resume();
render(<App />, document.getElementById("root") as HTMLElement);
