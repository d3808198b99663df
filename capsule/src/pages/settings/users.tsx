import { useState } from "preact/hooks";
import { grantsLabel, ROLE_LABELS } from "../../core/access/account-labels";
import { age, t } from "../../core/text";
import { loadSessions } from "../../state/account";
import { now } from "../../state/clock";
import { loadSettings, loadUsers, patchSettings, patchUser } from "../../state/users";
import { reloadUser, user } from "../../state/session";
import { toast } from "../../state/toasts";
import type { AccountView, OneTimePasswordView, SessionView } from "../../state/types";
import { Button, Empty, Failure, Form, Glyph, Icon, Loading, MenuButton } from "../../ui";
import { RadioCards } from "../../ui/radio-cards";
import { Dialog } from "../../ui/dialog";
import { GridHead, Cell } from "../../ui/grid-head";
import { SessionTable } from "./account";
import { ListView, useList, pageOf } from "../list-view";
import { ActionError, useAction } from "../use-action";
import { useAnswer } from "../use-answer";
import { SecretOnce } from "./secret-once";
import { AddUser, Disable, EditUser, ResetPassword } from "./user-dialogs";

type OpenDialog =
  | { kind: "add" }
  | { kind: "edit" | "reset" | "disable" | "sessions"; who: AccountView }
  | { kind: "password"; made: OneTimePasswordView; fresh: boolean };

export function UsersPage() {
  const list = useList<AccountView>(pageOf(loadUsers, "users"), (who) => who.username);
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const act = useAction();
  const close = (): void => setOpenDialog(null);
  const changed = (who: AccountView): void => {
    list.set((held) =>
      held.some((one) => one.username === who.username) ? held.map((one) => (one.username === who.username ? who : one)) : [...held, who],
    );
    if (who.username === user.peek()?.username) void reloadUser();
  };
  const enable = (who: AccountView): void =>
    void act.run(async () => {
      changed(await patchUser(who.username, { disabled: false }));
      toast("done", t`${who.username} may sign in again`);
    });
  const made = (answer: OneTimePasswordView, fresh: boolean): void => {
    changed(answer.user);
    setOpenDialog({ kind: "password", made: answer, fresh });
  };
  return (
    <div class="stack">
      <div class="section-head">
        <h2>{t`Users`}</h2>
        <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "add" })}>
          {t`Add user`}
        </Button>
      </div>
      <ActionError text={act.refusal} />
      <ListView
        list={list}
        what={t`the users`}
        refused={t`Your role cannot see users.`}
        empty={<Empty icon="users" title={t`No users`} text={t`People who can sign in are listed here.`} />}
      >
        {(items) => (
          <div class="card grid-table users-table" role="table" aria-label={t`Users`}>
            <GridHead labels={[t`User`, t`Role`, t`Nodes`, t`Two-factor`, t`Last seen`, t`Actions`]} unseen={[t`Actions`]} />
            {items.map((who) => (
              <Row key={who.username} who={who} onRequest={(kind) => setOpenDialog({ kind, who })} onEnable={() => enable(who)} />
            ))}
          </div>
        )}
      </ListView>
      <Rule />
      {openDialog?.kind === "add" && <AddUser onClose={close} onMade={(answer) => made(answer, true)} />}
      {openDialog?.kind === "edit" && <EditUser who={openDialog.who} onClose={close} onChanged={changed} />}
      {openDialog?.kind === "reset" && <ResetPassword who={openDialog.who} onClose={close} onMade={(answer) => made(answer, false)} />}
      {openDialog?.kind === "disable" && <Disable who={openDialog.who} onClose={close} onChanged={changed} />}
      {openDialog?.kind === "sessions" && <SessionsOf who={openDialog.who} onClose={close} />}
      {openDialog?.kind === "password" && (
        <SecretOnce
          title={openDialog.fresh ? t`${openDialog.made.user.username} was added` : t`New password for ${openDialog.made.user.username}`}
          label={t`One-time password`}
          secret={openDialog.made.password}
          text={t`Give this to ${openDialog.made.user.username}. It allows one sign-in, only to choose a new password, and expires after 24 hours.`}
          onClose={close}
        />
      )}
    </div>
  );
}

function Row({
  who,
  onRequest,
  onEnable,
}: {
  who: AccountView;
  onRequest: (kind: "edit" | "reset" | "disable" | "sessions") => void;
  onEnable: () => void;
}) {
  const self = who.username === user.value?.username;
  return (
    <div role="row" class={who.disabled ? "dimmed" : ""}>
      <Cell head class="row wrap">
        <span class="medium cut">{who.username}</span>
        {self && <span class="pill small accent">{t`you`}</span>}
        {who.disabled && (
          <span class="pill small">
            <Glyph kind="ended" size="tiny" label="" />
            {t`disabled`}
          </span>
        )}
        {who.must_change_password && !who.disabled && <span class="pill small warn">{t`one-time password`}</span>}
      </Cell>
      <Cell class="t2">{ROLE_LABELS[who.role]}</Cell>
      <Cell class="t2 cut">{grantsLabel(who.grants)}</Cell>
      <Cell class="row t2">
        <Glyph kind={who.totp_enabled ? "done" : "wait"} label="" />
        {who.totp_enabled ? t`on` : t`off`}
      </Cell>
      <Cell class="t3">{who.last_seen_at === null ? t`never` : t`${age(now.value - who.last_seen_at)} ago`}</Cell>
      <Cell class="right row">
        <MenuButton
          label={t`Actions for ${who.username}`}
          class="quiet slim only-icon"
          groups={[
            [
              { label: t`Role and nodes…`, icon: "shield", run: () => onRequest("edit") },
              { label: t`Sessions…`, icon: "monitor", run: () => onRequest("sessions") },
            ],
            self ? [] : [{ label: t`Reset password…`, icon: "file-key", run: () => onRequest("reset") }],
            self
              ? []
              : who.disabled
                ? [{ label: t`Enable`, icon: "check", run: onEnable }]
                : [{ label: t`Disable…`, icon: "lock", danger: true, run: () => onRequest("disable") }],
          ]}
        >
          <Icon name="ellipsis" size="small" />
        </MenuButton>
      </Cell>
    </div>
  );
}

function SessionsOf({ who, onClose }: { who: AccountView; onClose: () => void }) {
  const list = useList<SessionView>(
    pageOf((cursor) => loadSessions(cursor, who.username), "sessions"),
    (one) => one.id,
  );
  return (
    <Dialog title={t`Sessions of ${who.username}`} icon="monitor" onClose={onClose}>
      <div class="body">
        <ListView
          list={list}
          what={t`the sessions`}
          refused={t`Your role cannot see other users’ sessions.`}
          empty={<p class="t3">{t`${who.username} is not signed in.`}</p>}
        >
          {(items) => <SessionTable items={items} onEnded={(id) => list.set((held) => held.filter((one) => one.id !== id))} />}
        </ListView>
      </div>
    </Dialog>
  );
}

const RULE_WORDS = { none: t`Nobody`, admins: t`Admins`, all: t`Everybody` } as const;
type RuleKey = keyof typeof RULE_WORDS;
const RULES: readonly RuleKey[] = ["none", "admins", "all"];

const RULE_HINTS: Record<RuleKey, string> = {
  none: t`Everybody decides for themselves.`,
  admins: t`Admins without one must set it up before doing anything else.`,
  all: t`Everyone without one must set it up before doing anything else.`,
};

/** The form for the rule who must have a second factor. */
function Rule() {
  const { found: settings, failure, load, set } = useAnswer(loadSettings);
  const [picked, setPicked] = useState<RuleKey | null>(null);
  const act = useAction();
  if (failure?.status === 403) return null; // the list shows it already
  if (failure) return <Failure title={t`The rule for second factors could not be read`} error={failure} onRetry={load} />;
  if (!settings) return <Loading rows={2} what={t`the rule for second factors`} onRetry={load} />;
  const wanted = picked ?? settings.require_totp;
  const least = RULES.indexOf(settings.require_totp_least);
  const changed = wanted !== settings.require_totp;
  const save = async (): Promise<void> => {
    const done = await act.run(async () => set(await patchSettings({ require_totp: wanted })));
    if (!done) return;
    toast(
      "done",
      wanted === "none"
        ? t`A second factor is no longer required`
        : t`A second factor is now required for ${RULE_WORDS[wanted].toLowerCase()}`,
    );
    await reloadUser();
  };
  return (
    <section class="card rule-card" aria-label={t`Required second factor`}>
      <Form class="stack" onSubmit={() => void (changed && save())}>
        <ActionError text={act.refusal} />
        <RadioCards<RuleKey>
          label={t`Who must have a second factor`}
          value={wanted}
          onPick={setPicked}
          options={RULES.map((key, index) => ({
            key,
            label: RULE_WORDS[key],
            hint: index < least ? t`STARDUST_REQUIRE_TOTP requires more than this.` : RULE_HINTS[key],
            disabled: index < least,
          }))}
        />
        {changed && wanted !== "none" && !user.value?.totp_enabled && (
          <p class="t2 meta">{t`You have none yourself: you set one up as soon as this is saved.`}</p>
        )}
        <div>
          <Button kind="primary" type="submit" busy={act.busy} disabled={!changed}>
            {t`Save`}
          </Button>
        </div>
      </Form>
    </section>
  );
}
