import { policyLines } from "../../core/deployments/policy-wishes";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { nameError } from "../../core/nodes/node-name";
import { age, t, tElements } from "../../core/text";
import { POLICIES } from "../../core/jobs/job-labels";
import { now } from "../../state/clock";
import { events } from "../../state/events";
import { rows } from "../../state/fleet";
import { showDialog } from "../../state/dialogs";
import { endInvite, lookInvite, makeInvite } from "../../state/invites";
import { preferences, singleKeys } from "../../state/preferences";
import { go } from "../../state/router";
import { stepUp } from "../../state/step-up";
import { toast } from "../../state/toasts";
import { ApiError, type NewInviteView } from "../../state/types";
import { Banner, Button, Form, Glyph, TextField } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { Dialog, Foot } from "../../ui/dialog";
import { SelectField, TagsField } from "../../ui/form";
import { ProxyField } from "./connection-fields";
import { isUnanswered, useSubmit } from "../jobs/submit/use-submit";
import { ActionError, useAction } from "../use-action";
import { DraftBanner } from "./draft-banner";
import { commandDraft, useDraft } from "./draft";
import { EMPTY_COMMAND, type CommandForm } from "./connection-form";
import { Method, type MethodKey } from "./method";
import { PolicyFields } from "./policy-fields";

const LOOK_MS = 1500;
const INVITES = "/settings/joining";

interface Props {
  onMethod: (key: MethodKey) => void;
  onStartOver: () => void;
  onClose: () => void;
}

/** The dialog for a command that the user pastes into a shell of the server. It follows the server until its node appears. */
export function InviteCommand({ onMethod, onStartOver, onClose }: Props) {
  const { typed: form, type, left, settle } = useDraft(commandDraft, EMPTY_COMMAND);
  const [made, setMade] = useState<NewInviteView | null>(null);
  const [refusal, setRefusal] = useState("");
  const { sending, submit } = useSubmit();
  const make = (): void => {
    if (sending) return;
    setRefusal("");
    void submit({
      what: t`One-line command`,
      failed: t`One-line command: not created`,
      send: () =>
        makeInvite({
          name: form.name.trim(),
          tags: [...form.tags],
          policy: form.policy,
          ...policyLines(form),
          ...(form.proxy.trim() ? { proxy: form.proxy.trim() } : {}),
        }),
      taken: (invite) => {
        settle();
        setMade(invite);
      },
      late: () => {
        commandDraft.drop(form);
        toast(
          "run",
          t`The command was created, but is no longer shown`,
          t`It is listed under Settings, Enrollment, and can be revoked there.`,
          { label: t`Open`, run: () => go(INVITES) },
        );
      },
      refused: (why, error) =>
        setRefusal(
          isUnanswered(error)
            ? t`${error.detail} It is not known whether a command was created. One that is not shown expires after five minutes.`
            : why,
        ),
      back: (unanswered) => (unanswered ? go(INVITES) : showDialog({ kind: "add", method: "command" })),
    });
  };
  if (made) return <Made key={made.info.id} made={made} busy={sending} refusal={refusal} onStartOver={make} onClose={onClose} />;
  const change = (part: Partial<CommandForm>): void => type((before) => ({ ...before, ...part }));
  const anew = (): void => {
    settle();
    onStartOver();
  };
  return (
    <Dialog
      title={t`Add node`}
      subtitle={t`The server connects on its own: works behind NAT and without SSH.`}
      icon="server"
      onClose={onClose}
    >
      <Form noValidate onSubmit={make}>
        <div class="deploy-form">
          <Method value="command" busy={sending} onPick={onMethod} />
          {left && <DraftBanner secrets={false} onStartOver={anew} />}
          <ActionError text={refusal} />
          <TextField
            label={t`Name in Stardust`}
            value={form.name}
            onText={(name) => change({ name })}
            wrong={nameError(form.name)}
            code
            input={{ placeholder: t`taken from the server` }}
          />
          <div class="halves">
            <SelectField
              label={t`Policy on the server`}
              value={form.policy}
              onPick={(policy) => change({ policy: policy as CommandForm["policy"] })}
              options={POLICIES}
            />
            <TagsField label={t`Tags`} tags={form.tags} onTags={(tags) => change({ tags })} />
          </div>
          <PolicyFields entries={form} onChange={change} />
          <ProxyField value={form.proxy} onText={(proxy) => change({ proxy })} />
        </div>
        <Foot
          status={
            sending
              ? stepUp.value
                ? t`Waiting for your password.`
                : t`Sent, waiting for the answer.`
              : t`The command works once, within five minutes.`
          }
          sending={sending}
          onClose={onClose}
        >
          <Button kind="primary" type="submit" busy={sending}>
            {t`Create command`}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}

/** `late`: the invite has expired, and the hub has not reported yet whether a server used it. */
type State = "open" | "late" | "installing" | "here" | "over" | "failed";

interface MadeProps {
  made: NewInviteView;
  busy: boolean;
  refusal: string;
  onStartOver: () => void;
  onClose: () => void;
}

function Made({ made, busy, refusal, onStartOver, onClose }: MadeProps) {
  const [seen, setSeen] = useState(made.info);
  const commandRow = useRef<HTMLDivElement>(null);
  const left = made.expires_at - now.value;
  const node = seen.node_id ? rows.value.find((row) => row.node.id === seen.node_id)?.node : undefined;
  const failed =
    seen.state === "used"
      ? events.value.find(
          ({ type, details }) => type === "node_join_failed" && (details.invite === seen.id || details.node === seen.node_id),
        )
      : undefined;
  const state: State =
    node?.state === "online"
      ? "here"
      : failed
        ? "failed"
        : seen.state === "used"
          ? "installing"
          : seen.state !== "open"
            ? "over"
            : left <= 0
              ? "late"
              : "open";
  const over = state === "here" || state === "over" || state === "failed";
  useEffect(() => {
    if (over || seen.state !== "open") return;
    const timer = setInterval(() => {
      lookInvite(made.info.id).then(setSeen, (error: unknown) => {
        if (!(error instanceof ApiError)) throw error; // the hub did not answer: the next check tries again
      });
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, [over, seen.state]);
  // A layout effect, because the key must work as soon as the hint "or press c" is visible.
  useLayoutEffect(() => {
    if (state !== "open") return;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "c" || !singleKeys() || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement)
        return;
      event.preventDefault();
      commandRow.current?.querySelector("button")?.click();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [state]);
  const ending = useAction();
  const revoke = async (): Promise<void> => {
    if (await ending.run(async () => void (await endInvite(made.info.id)))) onClose();
  };
  const close = (): void => {
    if (state === "open")
      toast("run", t`The command works for another ${age(left)}`, t`It is listed under Settings, Enrollment, and can be revoked there.`);
    onClose();
  };
  const name = node?.name ?? t`The server`;
  const title = {
    open: t`Run this on the server`,
    late: t`The command has expired`,
    installing: t`The server is joining`,
    here: t`${name} is connected`,
    over: t`This command no longer works`,
    failed: t`The server could not join`,
  }[state];
  return (
    <Dialog
      title={title}
      subtitle={state === "open" ? t`works once, for another ${age(left)}` : t`One-line command`}
      icon="server"
      onClose={close}
    >
      <div class="body">
        <ActionError text={refusal || ending.refusal} />
        {made.this_machine_only && state === "open" && (
          <Banner
            mark={<Glyph kind="warn" label="" />}
          >{t`Other servers cannot reach this hub yet, so only this machine can join. Start it with --lan, or behind a TLS proxy with --server-url.`}</Banner>
        )}
        {state === "open" && (
          <>
            <p class="t2">{t`Run it as root or as a user with sudo. It needs Python 3.8 or newer.`}</p>
            <div class="code one-line">
              <code aria-label={t`Command`} tabIndex={0}>
                {made.short}
              </code>
            </div>
            <div class="row" ref={commandRow}>
              <CopyButton text={() => made.short} />
              {preferences.value.single_keys && <span class="t3">{tElements`or press ${<kbd>c</kbd>}`}</span>}
            </div>
            {made.without_curl.length > 0 && (
              <details>
                <summary>{t`The server has no curl`}</summary>
                {made.without_curl.map((text, at) => (
                  <div key={text} class="code one-line">
                    <code aria-label={at === 0 ? t`Command with wget` : t`Command with Python`} tabIndex={0}>
                      {text}
                    </code>
                    <CopyButton text={() => text} name={at === 0 ? t`Copy the command with wget` : t`Copy the command with Python`} />
                  </div>
                ))}
              </details>
            )}
            <p class="t2">{t`It asks for this invite, which is shown only once.`}</p>
            <div class="code one-line">
              <code aria-label={t`Invite`} tabIndex={0}>
                {made.invite}
              </code>
              <CopyButton text={() => made.invite} name={t`Copy the invite`} />
            </div>
            <details>
              <summary>{t`Compare the script with its checksum before it runs`}</summary>
              <p class="t2">{t`In one paste, for sh and bash. The invite is inside.`}</p>
              <div class="code one-line">
                <code aria-label={t`Paste that holds the invite`} tabIndex={0}>
                  {made.command}
                </code>
                <CopyButton text={() => made.command} name={t`Copy the paste`} />
              </div>
              <p class="t2">{t`For zsh and fish, which keep what is pasted in their history. It asks for the invite.`}</p>
              <div class="code one-line">
                <code aria-label={t`Line that asks for the invite`} tabIndex={0}>
                  {made.line}
                </code>
                <CopyButton text={() => made.line} name={t`Copy the line`} />
              </div>
            </details>
            <div class="fingerprint">
              <span class="label">{t`SHA-256 of install.sh`}</span>
              <code aria-label={t`Checksum`}>{made.installer.sha256}</code>
            </div>
          </>
        )}
        {state === "late" && (
          <Banner kind="info" mark={<Glyph kind="run" label="" />}>
            {t`Checking whether a server joined just before that.`}
          </Banner>
        )}
        {state === "installing" && (
          <Banner kind="info" mark={<Glyph kind="run" label="" />}>
            {t`The server was recognised; its agent is being installed.`}
          </Banner>
        )}
        {state === "here" && (
          <Banner kind="calm" mark={<Glyph kind="done" label="" />}>
            {t`${name} joined: its agent is connected.`}
          </Banner>
        )}
        {failed && state === "failed" && (
          <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
            {t`${failed.message}. What was started there is undone, and the command cannot be used again.`}
          </Banner>
        )}
        {state === "over" && (
          <Banner
            mark={<Glyph kind="warn" label="" />}
          >{t`Its five minutes are up, or it was revoked. Nothing was changed on the server.`}</Banner>
        )}
      </div>
      <footer>
        {(state === "over" || state === "failed") && (
          <Button class="end" kind="primary" busy={busy} onClick={onStartOver}>
            {t`Create a new one`}
          </Button>
        )}
        {state === "open" && (
          <Button kind="danger" busy={ending.busy} onClick={() => void revoke()}>
            {t`Revoke it`}
          </Button>
        )}
        {state !== "over" && state !== "failed" && (
          <Button class="end" onClick={close}>
            {t`Close`}
          </Button>
        )}
        {state === "here" && node && (
          <Button
            kind="primary"
            onClick={() => {
              onClose();
              go(`/n/${node.id}`);
            }}
          >
            {t`Open node`}
          </Button>
        )}
      </footer>
    </Dialog>
  );
}
