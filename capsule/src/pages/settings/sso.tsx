/** The providers of single sign-on: what to enter there, which groups give which rights, and how the last sign-ins ended. */

import { useEffect, useState } from "preact/hooks";
import { grantsLabel, ROLE_LABELS } from "../../core/access/account-labels";
import { t, timeOrDate } from "../../core/text";
import { now } from "../../state/clock";
import { chosen, manyOrganisations } from "../../state/organisation";
import { addProvider, checkProvider, deleteProvider, loadAttempts, loadProviders, loadRule, saveProvider, saveRule } from "../../state/sso";
import { toast } from "../../state/toasts";
import type { GroupRowBody, ProviderView, SsoRuleView } from "../../state/types";
import { Button, Empty, SecretField, TextField } from "../../ui";
import { CopyButton } from "../../ui/copy";
import { Check, SelectField, Switch, TagsField } from "../../ui/form";
import { SectionHead } from "../../ui/section-head";
import { FormDialog } from "../form-dialog";
import { ListView, useList } from "../list-view";
import { MeetingNotice } from "../meeting";
import { ActionError, useAction } from "../use-action";
import { useAnswer } from "../use-answer";
import { useMeeting } from "../use-meeting";
import { Typed } from "./user-dialogs";

type OpenDialog = { kind: "add" } | { kind: "edit" | "delete"; one: ProviderView };
type Role = GroupRowBody["role"];
const ROLES: readonly [Role, string][] = [
  ["viewer", ROLE_LABELS.viewer],
  ["operator", ROLE_LABELS.operator],
  ["admin", ROLE_LABELS.admin],
];

export function SsoPage() {
  const list = useList<ProviderView>(
    async () => ({ items: await loadProviders(), next: null }),
    (one) => one.name,
  );
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const close = (): void => setOpenDialog(null);
  const saved = (text: string): void => {
    toast("done", text);
    list.load();
    close();
  };
  return (
    <div class="stack sso">
      <SectionHead title={t`Single sign-on`} text={t`Sign-in through a provider of OpenID Connect, such as Keycloak, Authentik or Entra.`}>
        <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "add" })}>
          {t`Add provider`}
        </Button>
      </SectionHead>
      <ListView
        list={list}
        what={t`the providers`}
        refused={t`Providers belong to the whole hub: only its admins see them.`}
        empty={
          <Empty
            icon="lock"
            title={t`No provider`}
            text={t`Users sign in with their password. A provider adds a button to the sign-in page.`}
          />
        }
      >
        {(items) => items.map((one) => <Provider key={one.name} one={one} onRequest={(kind) => setOpenDialog({ kind, one })} />)}
      </ListView>
      <OnlyThere />
      {openDialog?.kind === "add" && <Edit onClose={close} onSaved={() => saved(t`The provider was added`)} />}
      {openDialog?.kind === "edit" && <Edit one={openDialog.one} onClose={close} onSaved={() => saved(t`The provider was changed`)} />}
      {openDialog?.kind === "delete" && (
        <Typed
          name={openDialog.one.name}
          title={t`Remove ${openDialog.one.title}`}
          text={t`Its sessions end, and its groups give no rights any more. Linked accounts come back with a provider of the same issuer.`}
          button={t`Remove provider`}
          onClose={close}
          act={async () => {
            await deleteProvider(openDialog.one.name);
            saved(t`The provider was removed`);
          }}
        />
      )}
    </div>
  );
}

/** Whether members of the organisation may still use passwords. */
function OnlyThere() {
  const [rule, setRule] = useState<SsoRuleView | null>(null);
  const act = useAction();
  const load = (): void => void act.run(async () => setRule(await loadRule()));
  useEffect(load, []);
  if (!rule && !act.refusal) return null;
  return (
    <section class="card stack" aria-label={t`Passwords`}>
      <ActionError text={act.refusal} />
      {!rule && (
        <div>
          <Button slim onClick={load}>{t`Try again`}</Button>
        </div>
      )}
      {rule && (
        <Switch
          label={t`Sign in through a provider only`}
          hint={
            rule.sso_only
              ? t`Only ${rule.local_admin} may still use a password. If the provider is away, “stardust user reset” on the hub’s machine lets an admin in.`
              : t`Ends the sessions that other members opened with a password. You keep yours, so that nobody is locked out.`
          }
          checked={rule.sso_only}
          onCheck={() => void act.run(async () => setRule(await saveRule(!rule.sso_only)))}
        />
      )}
    </section>
  );
}

function Provider({ one, onRequest }: { one: ProviderView; onRequest: (kind: "edit" | "delete") => void }) {
  const act = useAction();
  const [found, setFound] = useState("");
  const check = (): void =>
    void act.run(async () => {
      setFound("");
      const seen = await checkProvider(one.name);
      setFound(
        [
          t`It answers, with ${seen.keys} keys.`,
          seen.logout ? t`Signing out here also signs out there.` : t`It has no sign-out for this page.`,
          seen.backchannel_logout ? t`Signing out there ends sessions here.` : t`It does not tell Stardust when somebody signs out there.`,
        ].join(" "),
      );
    });
  return (
    <section class="card stack" aria-label={one.title}>
      <div class="row wrap">
        <h3 class="strong">{one.title}</h3>
        <span class="pill small">{one.name}</span>
        {!one.enabled && <span class="pill small warn">{t`off`}</span>}
        <span class="row wrap end">
          <Button slim busy={act.busy} onClick={check}>{t`Check`}</Button>
          <Button slim onClick={() => onRequest("edit")}>{t`Edit…`}</Button>
          <Button slim kind="danger" onClick={() => onRequest("delete")}>{t`Remove…`}</Button>
        </span>
      </div>
      <p class="t2 anywhere">{one.issuer}</p>
      <ActionError text={act.refusal || (found ? "" : one.failure)} />
      {found && (
        <p class="t2" role="status">
          {found}
        </p>
      )}
      <details>
        <summary>{t`Addresses to enter at the provider`}</summary>
        <dl class="stack">
          <Address label={t`Redirect address`} text={one.redirect_uri} />
          <Address label={t`Address after sign-out`} text={one.signed_out_uri} />
          <Address label={t`Back-channel sign-out`} text={one.backchannel_uri} />
        </dl>
      </details>
      <Groups one={one} />
      <Attempts one={one} />
    </section>
  );
}

function Address({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <dt class="label">{label}</dt>
      <dd class="code">
        <code>{text}</code>
        <CopyButton text={() => text} name={t`Copy ${label}`} />
      </dd>
    </div>
  );
}

function Groups({ one }: { one: ProviderView }) {
  return (
    <div>
      <h4 class="label">{t`Groups`}</h4>
      {one.groups.length ? (
        <ul class="rows-card" aria-label={t`Groups`}>
          {one.groups.map((row) => (
            <li key={`${row.claim} ${row.value} ${row.organisation}`}>
              <div class="grow">
                <code>{row.claim}</code> = <code>{row.value}</code>
                <p class="meta t2">
                  {[
                    manyOrganisations.value ? t`${ROLE_LABELS[row.role]} in ${row.organisation}` : ROLE_LABELS[row.role],
                    ...(row.grants ? [grantsLabel(row.grants)] : []),
                  ].join(" · ")}
                </p>
              </div>
            </li>
          ))}
        </ul>
      ) : (
        <p class="t2">{t`Its groups give no rights: users have those that an admin gave them.`}</p>
      )}
    </div>
  );
}

/** The last sign-ins, with the groups that came: names compare exactly, so this is what to copy into a row. */
function Attempts({ one }: { one: ProviderView }) {
  const { found, failure, load } = useAnswer(() => loadAttempts(one.name), [one.name]);
  return (
    <div>
      <div class="row">
        <h4 class="label">{t`Last sign-ins`}</h4>
        <Button slim kind="quiet" class="end" onClick={load}>
          {t`Reload`}
        </Button>
      </div>
      <ActionError text={failure?.detail ?? ""} />
      {found && !found.length && <p class="t2">{t`None since the hub started.`}</p>}
      {!!found?.length && (
        <ul class="rows-card" aria-label={t`Last sign-ins`}>
          {found.slice(0, 10).map((each) => (
            <li key={`${each.at} ${each.subject}`}>
              <div class="grow">
                <div class="row wrap">
                  <span class="medium">{each.username || each.shown || each.subject || t`unknown user`}</span>
                  <span class={`pill small ${each.result === "done" ? "ok" : "crit"}`}>
                    {each.result === "done" ? t`signed in` : t`refused`}
                  </span>
                  <span class="t3 meta">{timeOrDate(each.at, now.value)}</span>
                </div>
                {each.reason && <p class="t2">{each.reason}</p>}
                {one.groups.length > 0 && (
                  <p class="meta t3">
                    {Object.entries(each.claims)
                      .map(([claim, values]) => `${claim}: ${values.join(", ") || t`none`}`)
                      .join(" · ") || t`no groups came`}
                  </p>
                )}
              </div>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

const newRow = (): GroupRowBody => ({
  claim: "groups",
  value: "",
  organisation: chosen.peek() || "default",
  role: "viewer",
  grants: null,
});

/** The fields as typed, without the client secret. */
interface Draft {
  name: string;
  title: string;
  issuer: string;
  client_id: string;
  scopes: string;
  ca_pem: string;
  enabled: boolean;
  create_accounts: boolean;
  groups: readonly GroupRowBody[];
}

const NEW_DRAFT: Draft = {
  name: "",
  title: "",
  issuer: "",
  client_id: "",
  scopes: ["openid", "profile"].join(" "),
  ca_pem: "",
  enabled: true,
  create_accounts: false,
  groups: [],
};

const draftOf = ({ name, title, issuer, client_id, scopes, ca_pem, enabled, create_accounts, groups }: ProviderView): Draft => ({
  name,
  title,
  issuer,
  client_id,
  scopes: scopes.join(" "),
  ca_pem,
  enabled,
  create_accounts,
  groups,
});

function Edit({ one, onClose, onSaved }: { one?: ProviderView; onClose: () => void; onSaved: () => void }) {
  const edited = useMeeting<ProviderView, Draft>({
    read: one,
    empty: () => NEW_DRAFT,
    draftOf,
    reload: async ({ name }) => (await loadProviders()).find((each) => each.name === name),
  });
  const { draft, change, met } = edited;
  /** Not of the draft: the notice about two editors writes its fields out. */
  const [secret, setSecret] = useState("");
  const { groups: rows } = draft;
  const setRows = (groups: readonly GroupRowBody[]): void => change({ groups });
  const changeRow = (at: number, part: Partial<GroupRowBody>): void =>
    setRows(rows.map((row, no) => (no === at ? { ...row, ...part } : row)));
  const save = async (): Promise<void> => {
    const body = {
      ...draft,
      name: draft.name.trim(),
      title: draft.title.trim(),
      issuer: draft.issuer.trim(),
      client_id: draft.client_id.trim(),
      scopes: draft.scopes.split(/\s+/).filter(Boolean),
      ca_pem: draft.ca_pem.trim(),
      groups: rows.map((row) => (row.role === "admin" ? { ...row, grants: null } : row)),
      ...(secret ? { client_secret: secret } : {}),
    };
    if (await edited.save((stored) => (stored ? saveProvider(stored.name, { version: stored.version, ...body }) : addProvider(body))))
      onSaved();
  };
  return (
    <FormDialog
      title={one ? t`Edit ${one.title}` : t`Add provider`}
      icon="lock"
      submit={one ? t`Save` : t`Add provider`}
      onSave={save}
      onClose={onClose}
    >
      {met && <MeetingNotice met={met} onTake={edited.takeTheirs} />}
      <TextField
        label={t`Name`}
        hint={t`In addresses, such as “company”.`}
        value={draft.name}
        onText={(name) => change({ name })}
        code
        input={{ required: true, maxLength: 32, autofocus: true }}
      />
      <TextField
        label={t`Title`}
        hint={t`On the button: “Sign in with …”.`}
        value={draft.title}
        onText={(title) => change({ title })}
        input={{ required: true, maxLength: 60 }}
      />
      <TextField
        label={t`Issuer`}
        hint={t`Exactly as the provider writes it, with or without a slash at its end.`}
        value={draft.issuer}
        onText={(issuer) => change({ issuer })}
        code
        input={{ required: true, type: "url" }}
      />
      <TextField label={t`Client id`} value={draft.client_id} onText={(id) => change({ client_id: id })} code input={{ required: true }} />
      <SecretField
        label={t`Client secret`}
        hint={one?.has_secret ? t`One is sealed. Leave this empty to keep it.` : t`Empty: a public client.`}
        value={secret}
        onText={setSecret}
        input={{ autocomplete: "new-password" }}
      />
      <TextField label={t`Scopes`} value={draft.scopes} onText={(scopes) => change({ scopes })} code />
      <div class="field">
        <label for="sso-ca">{t`Certificate authority`}</label>
        <textarea
          id="sso-ca"
          class="input"
          rows={3}
          spellcheck={false}
          value={draft.ca_pem}
          onInput={(event) => change({ ca_pem: event.currentTarget.value })}
        />
        <p class="hint">{t`Certificates in PEM form. Empty: those that this machine trusts. The check is never left out.`}</p>
      </div>
      <fieldset class="stack">
        <legend class="label">{t`Groups that give rights`}</legend>
        {rows.map((row, at) => (
          <div class="row wrap" key={at}>
            <TextField label={t`Claim`} value={row.claim} onText={(claim) => changeRow(at, { claim })} input={{ required: true }} />
            <TextField label={t`Value`} value={row.value} onText={(value) => changeRow(at, { value })} input={{ required: true }} />
            {manyOrganisations.value && (
              <TextField
                label={t`Organisation`}
                value={row.organisation}
                onText={(organisation) => changeRow(at, { organisation })}
                input={{ required: true }}
              />
            )}
            <SelectField label={t`Role`} value={row.role} onPick={(role) => changeRow(at, { role: role as Role })} options={ROLES} />
            {row.role !== "admin" && (
              <SelectField
                label={t`Nodes`}
                value={row.grants ? "some" : "all"}
                onPick={(kind) => changeRow(at, { grants: kind === "all" ? null : { nodes: [], tags: [] } })}
                options={[
                  ["all", t`Every node`],
                  ["some", t`Only with tags`],
                ]}
              />
            )}
            {row.role !== "admin" && row.grants && (
              <TagsField
                label={t`Tags`}
                tags={row.grants.tags ?? []}
                onTags={(tags) => changeRow(at, { grants: { nodes: row.grants?.nodes ?? [], tags } })}
              />
            )}
            <Button
              slim
              kind="danger"
              more={{ "aria-label": t`Remove row ${at + 1}` }}
              onClick={() => setRows(rows.filter((_, no) => no !== at))}
            >
              {t`Remove`}
            </Button>
          </div>
        ))}
        <div>
          <Button slim icon="plus" onClick={() => setRows([...rows, newRow()])}>
            {t`Add row`}
          </Button>
        </div>
        <p class="hint">{t`Read at each sign-in. With rows, a sign-in without the claim is refused.`}</p>
      </fieldset>
      <Check checked={draft.create_accounts} onCheck={(on) => change({ create_accounts: on })}>
        {t`Create an account for an unknown user whom a row gives rights`}
      </Check>
      <Check checked={draft.enabled} onCheck={(enabled) => change({ enabled })}>
        {t`Show its button`}
      </Check>
    </FormDialog>
  );
}
