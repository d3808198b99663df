/** The dialog that is open, each fetched when it is first needed. */

import type { ComponentType, VNode } from "preact";
import { t } from "../core/say";
import { hide, open } from "../state/dialogs";
import { stepUp } from "../state/stepup";
import { toast } from "../state/toasts";
import { afresh, lazy, missing } from "../ui/lazy";

/** Said again for as long as the hub does not answer. */
const missed = (what: string): unknown => toast("fail", t`This part of the page could not be loaded`, missing(what), { label: t`Try again`, run: async () => (await afresh()) || missed(what) });

/** A dialog that does not come has no place to say so: a note does, and what waits for it is let go. */
const dialog = <P extends object>(what: string, load: () => Promise<ComponentType<P>>, away = hide): ((props: P) => VNode | null) =>
  lazy(what, () =>
    load().catch((error: unknown) => {
      away();
      missed(what);
      throw error;
    }),
  );

const AddNode = dialog(t`the dialog`, async () => (await import("./more")).AddNodeDialog);
const RemoveNode = dialog(t`the dialog`, async () => (await import("./more")).RemoveNodeDialog);
const Redeploy = dialog(t`the dialog`, async () => (await import("./more")).RedeployDialog);
const Palette = dialog(t`the palette`, async () => (await import("./more")).Palette);
const Keys = dialog(t`the shortcuts`, async () => (await import("./more")).Keys);
const Order = dialog(t`the dialog`, async () => (await import("../pages/orders")).OrderFor);
const Many = dialog(t`the dialog`, async () => (await import("../pages/orders")).ManyDialog);
const Tags = dialog(t`the dialog`, async () => (await import("../pages/orders")).TagsDialog);
const Forget = dialog(t`the dialog`, async () => (await import("../pages/orders")).ForgetDialog);
const Views = dialog(t`the dialog`, async () => (await import("../pages/orders")).ViewsDialog);
const StepUpDialog = dialog(
  t`the dialog`,
  async () => (await import("./more")).StepUpDialog,
  () => stepUp.peek()?.cancel(),
);

export function Dialogs(): VNode {
  return (
    <>
      <Chosen />
      <StepUp />
    </>
  );
}

/** Also wanted before the page itself opens. */
export function StepUp(): VNode | null {
  return stepUp.value && <StepUpDialog />;
}

function Chosen(): VNode | null {
  const wanted = open.value;
  switch (wanted?.kind) {
    case "add":
      return <AddNode key={wanted.deployment ?? "new"} {...wanted} />;
    case "remove":
      return <RemoveNode key={wanted.deployment ?? wanted.node} {...wanted} />;
    case "redeploy":
      return <Redeploy key={wanted.node} {...wanted} />;
    case "order":
      return <Order {...wanted} />;
    case "many":
      return <Many {...wanted} />;
    case "tags":
      return <Tags {...wanted} />;
    case "forget":
      return <Forget {...wanted} />;
    case "views":
      return <Views />;
    case "palette":
      return <Palette />;
    case "keys":
      return <Keys />;
    default:
      return null;
  }
}
