import { useState } from "preact/hooks";
import { deviceName, ROLE_HINTS, ROLE_LABELS } from "../../core/access/account-labels";
import { age, t, tElements, timeOrDate } from "../../core/text";
import { endOtherSessions, endSession, loadSessions } from "../../state/account";
import { now } from "../../state/clock";
import { changePassword, mayAct, user } from "../../state/session";
import { withStrictStepUp } from "../../state/step-up";
import { toast } from "../../state/toasts";
import { ApiError, type SessionView } from "../../state/types";
import { Button, Empty, Form, SecretField } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { Time } from "../../ui/time";
import { NewPassword, NO_PASSWORD, unmet } from "../login/new-password";
import { ListView, useList, type ListState, pageOf } from "../list-view";
import { ActionError, useAction } from "../use-action";
import { Offers } from "./offers";
import { LinkedAccounts } from "./linked-accounts";
import { Passkeys } from "./passkeys";
import { SecondFactor } from "./second-factor";

export function AccountPage() {
  const who = user.value;
  const sessions = useList<SessionView>(pageOf(loadSessions, "sessions"), (one) => one.id);
  if (!who) return <></>;
  return (
    <div class="settings">
      <section class="card" aria-label={t`You`}>
        <div class="row">
          <h2>{who.username}</h2>
          <span class="pill small accent">{ROLE_LABELS[who.role].toLowerCase()}</span>
        </div>
        <p class="t2">{ROLE_HINTS[who.role]}</p>
        {who.limited && (
          <p class="t2">
            {mayAct.value
              ? t`You have access to some nodes only: others are not shown, and a new one needs a tag that you have access to.`
              : t`You have access to some nodes only: others are not shown.`}
          </p>
        )}
      </section>
      {who.has_password && <Password onChanged={sessions.load} />}
      <Offers />
      <LinkedAccounts />
      <SecondFactor onChanged={sessions.load} />
      {who.totp_enabled && <Passkeys />}
      <Sessions list={sessions} />
    </div>
  );
}

function Password({ onChanged }: { onChanged: () => void }) {
  const [open, setOpen] = useState(false);
  return (
    <section class="card" aria-label={t`Password`}>
      <h2>{t`Password`}</h2>
      <p class="t2">{t`Changing it ends all your other sessions.`}</p>
      <div>
        <Button onClick={() => setOpen(true)}>{t`Change password…`}</Button>
      </div>
      {open && (
        <ChangePassword
          onClose={() => {
            setOpen(false);
            onChanged();
          }}
        />
      )}
    </section>
  );
}

function ChangePassword({ onClose }: { onClose: () => void }) {
  const username = user.value?.username ?? "";
  const [current, setCurrent] = useState("");
  const [entries, setEntries] = useState(NO_PASSWORD);
  const [wrong, setWrong] = useState("");
  const act = useAction();
  const end = act.dialogProps(onClose);
  const [missing, setMissing] = useState("");
  const submit = async (): Promise<void> => {
    const rules = unmet(entries, username, current);
    setMissing(rules);
    if (rules) return;
    setWrong("");
    let changed = false;
    await act.run(async () => {
      try {
        await withStrictStepUp(() => changePassword(current, entries.password), t`Enter your password to change it.`);
        changed = true;
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== "auth.bad_credentials") throw error;
        setWrong(t`The current password is wrong.`);
        setCurrent("");
      }
    });
    if (!changed) return;
    toast("done", t`The password was changed`, t`All your other sessions were ended.`);
    onClose();
  };
  return (
    <Dialog title={t`Change password`} icon="lock" size="narrow" onClose={end.onClose}>
      <Form onSubmit={() => void submit()}>
        <div class="body">
          <ActionError text={missing || act.refusal} />
          <input
            class="hidden-text"
            type="text"
            name="username"
            autocomplete="username"
            value={username}
            readOnly
            tabIndex={-1}
            aria-hidden="true"
          />
          <SecretField
            label={t`Current password`}
            value={current}
            onText={setCurrent}
            wrong={wrong}
            input={{ autocomplete: "current-password", required: true, autofocus: true }}
          />
          <NewPassword entries={entries} onChange={setEntries} username={username} current={current} />
        </div>
        <Foot {...end}>
          <Button kind="primary" type="submit" busy={act.busy}>
            {t`Change password`}
          </Button>
        </Foot>
      </Form>
    </Dialog>
  );
}

function Sessions({ list }: { list: ListState<SessionView> }) {
  const act = useAction();
  const others = (list.items?.length ?? 0) > 1;
  const endAll = (): void =>
    void act.run(async () => {
      await endOtherSessions();
      toast("done", t`All other sessions were ended`);
      list.load();
    });
  return (
    <section class="sessions" aria-label={t`Sessions`}>
      <div class="section-head">
        <h2>{t`Sessions`}</h2>
        {others && (
          <Button slim class="end" busy={act.busy} onClick={endAll}>
            {t`End all others`}
          </Button>
        )}
      </div>
      <ActionError text={act.refusal} />
      <ListView
        list={list}
        what={t`the sessions`}
        refused={t`Your role cannot see sessions.`}
        empty={<Empty icon="monitor" title={t`No sessions`} text={t`Browsers that are signed in are listed here.`} />}
      >
        {(items) => <SessionTable items={items} onEnded={(id) => list.set((held) => held.filter((one) => one.id !== id))} />}
      </ListView>
    </section>
  );
}

/** The sessions of one user. */
export function SessionTable({ items, onEnded }: { items: readonly SessionView[]; onEnded: (id: string) => void }) {
  return (
    <ul class="card rows-card" aria-label={t`Sessions`}>
      {items.map((session) => (
        <SessionRow key={session.id} session={session} onEnded={() => onEnded(session.id)} />
      ))}
    </ul>
  );
}

function SessionRow({ session, onEnded }: { session: SessionView; onEnded: () => void }) {
  const act = useAction();
  const name = deviceName(session.user_agent);
  return (
    <li>
      <div class="grow">
        <div class="row wrap">
          <span class="medium">{name}</span>
          {session.current && <span class="pill small accent">{t`this one`}</span>}
          {session.provider && <span class="pill small">{t`through ${session.provider}`}</span>}
          {session.second_factor && <span class="pill small">{t`second factor`}</span>}
        </div>
        <p class="meta t3">
          {tElements`${session.address || t`this machine`} · signed in ${<Time at={session.created_at}>{timeOrDate(session.created_at, now.value)}</Time>} · ${session.current ? t`active now` : t`last seen ${age(now.value - session.last_seen_at)} ago`} · ends ${<Time at={session.expires_at}>{timeOrDate(session.expires_at, now.value)}</Time>}`}
        </p>
        {act.refusal && (
          <p class="wrong" role="alert">
            {act.refusal}
          </p>
        )}
      </div>
      {!session.current && (
        <Button
          slim
          busy={act.busy}
          more={{ "aria-label": t`End the session ${name}, ${session.address || t`this machine`}` }}
          onClick={() =>
            void act.run(async () => {
              await endSession(session.id);
              onEnded();
            })
          }
        >
          {t`End`}
        </Button>
      )}
    </li>
  );
}
