import { policyLines } from "../../core/deployments/policy-wishes";
import { useState } from "preact/hooks";
import { POLICIES } from "../../core/jobs/job-labels";
import { t } from "../../core/text";
import { redeployNode } from "../../state/deployment";
import { openDeployment } from "../../state/deployments";
import { closeDialog, showDialog } from "../../state/dialogs";
import { nodeSignal } from "../../state/fleet";
import { go } from "../../state/router";
import type { NodeView } from "../../state/types";
import { Banner, Button, Form, Glyph } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { ActionError } from "../use-action";
import { JumpSignInAgain, ServerFields, SignInFields, UserField } from "../add/connection-fields";
import {
  askedJump,
  credentialsBody,
  formErrors,
  knownHostForm,
  missingCredentialsReason,
  policyForm,
  type ConnectionForm,
  type FormErrors,
} from "../add/connection-form";
import { DEPLOYMENTS, toastStarted, useSubmit } from "../jobs/submit/use-submit";
import { PolicyTexts, PolicyWish } from "./policy-parts";

/** The dialog that deploys to a node's server again. It asks for credentials if none are stored. */
export function RedeployDialog({ node: id }: { node: string }) {
  const [view] = useState<NodeView | undefined>(() => nodeSignal(id)?.peek());
  return view ? <Ask view={view} /> : null;
}

interface PolicyDifference {
  /** The text on the server. */
  current: string;
  wanted: string;
  digest: string;
}

/** The facts of the refusal `policy_differs`; null if they are not complete. */
function differenceOf({ current, wanted, digest }: Readonly<Record<string, unknown>>): PolicyDifference | null {
  return typeof current === "string" && typeof wanted === "string" && typeof digest === "string" && digest
    ? { current, wanted, digest }
    : null;
}

function Ask({ view }: { view: NodeView }) {
  const [asked, setNeeds] = useState(!view.credentials_kept);
  /** Whether the policy on the server is to be changed, which needs credentials in this request. */
  const [widening, setWidening] = useState(false);
  const [difference, setDifference] = useState<PolicyDifference | null>(null);
  const needs = asked || widening;
  const [entries, setEntries] = useState<ConnectionForm>(() => ({ ...knownHostForm(view.address), ...policyForm(view.policy) }));
  const [wrong, setWrong] = useState<FormErrors>({});
  const [refusal, setRefusal] = useState("");
  const { sending, status, submit } = useSubmit();
  const change = (part: Partial<ConnectionForm>): void => {
    setDifference(null);
    setEntries((before) => ({ ...before, ...part }));
  };
  const lines = widening
    ? { policy: entries.policy, ...policyLines(entries, true), ...(difference ? { policy_seen: difference.digest } : {}) }
    : {};
  const deploy = (): void => {
    const found = needs ? formErrors(entries, true) : {};
    setWrong(found);
    if (sending || Object.keys(found).length) return;
    setRefusal("");
    const what = t`Deploy ${view.name} again`;
    void submit({
      what,
      strict: widening,
      send: () => redeployNode(view.id, needs ? { ...credentialsBody(entries), ...lines } : {}),
      taken: (one) => openDeployment(one.peek()),
      late: (one) => toastStarted(what, () => openDeployment(one.peek())),
      refused: (why, error) => {
        const asks = error.code === "credentials_required";
        const found = error.code === "policy_differs" ? differenceOf(error.facts) : null;
        if (found) {
          setDifference(found);
          return;
        }
        const jump = askedJump(error.facts);
        if (jump) change({ jump });
        if (asks || jump) setNeeds(true);
        setRefusal(asks ? missingCredentialsReason(error.facts) : why);
      },
      back: (unanswered) => (unanswered ? go(DEPLOYMENTS) : showDialog({ kind: "redeploy", node: view.id })),
    });
  };
  return (
    <Dialog title={t`Deploy ${view.name} again`} subtitle={view.address} size={needs ? "" : "narrow"} onClose={closeDialog}>
      <Form noValidate onSubmit={deploy}>
        <div class={needs ? "deploy-form" : "body"}>
          <ActionError text={refusal} />
          <p class="t2">
            {t`Ground Control signs in over SSH and reinstalls the agent, replacing any agent already there. The node keeps its history, name, tags and policy. If this fails, the server stays as it was.`}
          </p>
          <PolicyWish
            widening={widening}
            entries={entries}
            modes={POLICIES}
            mode={entries.policy}
            onWidening={setWidening}
            onMode={(policy) => change({ policy: policy as ConnectionForm["policy"] })}
            onChange={change}
          />
          {difference && (
            <PolicyTexts {...difference}>
              <Banner mark={<Glyph kind="warn" label="" />}>
                <b>{t`The owner of this server wrote another policy. Nothing was changed yet.`}</b>
              </Banner>
            </PolicyTexts>
          )}
          {needs && (
            <>
              <p class="t2">
                {view.credentials_kept
                  ? widening
                    ? t`Stored credentials cannot change the policy.`
                    : ""
                  : t`No credentials are stored for this server.`}{" "}
                {t`Enter them again; they are used only for this deployment.`}
              </p>
              <ServerFields entries={entries} wrong={wrong} known onChange={change} />
              <UserField value={entries.username} wrong={wrong.username} onText={(username) => change({ username })} />
              <SignInFields entries={entries} wrong={wrong} onChange={change} />
              {entries.jump && <JumpSignInAgain jump={entries.jump} wrong={wrong} onJump={(jump) => change({ jump })} />}
            </>
          )}
        </div>
        <Foot status={status} sending={sending} focused={!needs} onClose={closeDialog}>
          <Button kind="primary" icon="rotate-cw" type="submit" busy={sending}>
            {difference ? t`Write this policy and deploy` : t`Deploy again`}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}
