/** The dialog that is open, each fetched when it is first needed. */

import type { VNode } from "preact";
import { t } from "../core/say";
import { open } from "../state/dialogs";
import { stepUp } from "../state/stepup";
import { lazy } from "../ui/lazy";

const AddNode = lazy(t`the dialog`, async () => (await import("./more")).AddNodeDialog);
const RemoveNode = lazy(t`the dialog`, async () => (await import("./more")).RemoveNodeDialog);
const Redeploy = lazy(t`the dialog`, async () => (await import("./more")).RedeployDialog);
const Palette = lazy(t`the palette`, async () => (await import("./more")).Palette);
const Keys = lazy(t`the list of keys`, async () => (await import("./more")).Keys);
const Order = lazy(t`the order`, async () => (await import("../pages/orders")).OrderFor);
const Many = lazy(t`the order`, async () => (await import("../pages/orders")).ManyDialog);
const Tags = lazy(t`the dialog`, async () => (await import("../pages/orders")).TagsDialog);
const Forget = lazy(t`the dialog`, async () => (await import("../pages/orders")).ForgetDialog);
const Views = lazy(t`the dialog`, async () => (await import("../pages/orders")).ViewsDialog);
const StepUpDialog = lazy(t`the dialog`, async () => (await import("./more")).StepUpDialog);

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
      return <RemoveNode key={wanted.node} node={wanted.node} {...(wanted.deployment ? { deployment: wanted.deployment } : {})} />;
    case "redeploy":
      return <Redeploy key={wanted.node} node={wanted.node} />;
    case "order":
      return <Order {...wanted} />;
    case "many":
      return <Many {...wanted} />;
    case "tags":
      return <Tags nodes={wanted.nodes} />;
    case "forget":
      return <Forget nodes={wanted.nodes} />;
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
