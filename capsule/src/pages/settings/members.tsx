/** The members of the organisation, and open offers. */

import { useEffect, useState } from "preact/hooks";
import { grantsLabel, grantsNothing, ROLE_LABELS, type Role } from "../../core/access/account-labels";
import { t, timeOrDate } from "../../core/text";
import { now } from "../../state/clock";
import { chosen, organisations } from "../../state/organisation";
import { loadMembers, offerMembership, patchMember, removeMember } from "../../state/organisations";
import { reloadUser, user } from "../../state/session";
import { loadButtons } from "../../state/sso";
import { toast } from "../../state/toasts";
import type { GrantsView, MemberView, OfferView, SsoButtonView } from "../../state/types";
import { Button, Empty, TextField } from "../../ui";
import { SelectField } from "../../ui/form";
import { SectionHead } from "../../ui/section-head";
import { FormDialog } from "../form-dialog";
import { ListView, useList } from "../list-view";
import { NodesField } from "../nodes-field";
import { ActionError, useAction } from "../use-action";
import { RoleField, Typed } from "./user-dialogs";

type OpenDialog = { kind: "add" } | { kind: "edit" | "remove"; one: MemberView };

export function MembersPage() {
  const [offers, setOffers] = useState<readonly OfferView[]>([]);
  const list = useList<MemberView>(
    async (cursor) => {
      const page = await loadMembers(cursor);
      setOffers(page.offers);
      return { items: page.members, next: page.next };
    },
    (one) => one.username,
  );
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const act = useAction();
  const close = (): void => setOpenDialog(null);
  const saved = (text: string): void => {
    toast("done", text);
    list.load();
    close();
    void reloadUser();
  };
  const name = organisations.value.find(({ slug }) => slug === chosen.value)?.name ?? organisations.value[0]?.name ?? "";
  return (
    <div class="stack">
      <SectionHead title={t`Members of ${name}`} text={t`A user of this hub can belong to several organisations, with a role in each.`}>
        <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "add" })}>
          {t`Offer membership`}
        </Button>
      </SectionHead>
      <ActionError text={act.refusal} />
      <ListView
        list={list}
        what={t`the members`}
        refused={t`Your role cannot see members.`}
        empty={<Empty icon="users" title={t`No members`} text={t`People who can work in this organisation are listed here.`} />}
      >
        {(items) => (
          <ul class="rows-card" aria-label={t`Members`}>
            {items.map((one) => (
              <li key={one.username}>
                <div class="grow">
                  <span class="medium">{one.username}</span>{" "}
                  {one.username === user.value?.username && <span class="pill small accent">{t`you`}</span>}
                  {one.disabled && <span class="pill small">{t`disabled`}</span>}
                  {one.source !== "local" && <span class="pill small">{one.source.replace("oidc:", "")}</span>}
                  {one.until !== null && <span class="pill small warn">{t`until ${timeOrDate(one.until, now.value)}: ${one.reason}`}</span>}
                  <p class="meta t3">
                    {ROLE_LABELS[one.role]} · {grantsLabel(one.grants)}
                  </p>
                </div>
                <Button
                  slim
                  onClick={() => setOpenDialog({ kind: "edit", one })}
                  more={{ "aria-label": t`Edit role and nodes of ${one.username}` }}
                >
                  {t`Edit…`}
                </Button>
                <Button
                  slim
                  kind="danger"
                  onClick={() => setOpenDialog({ kind: "remove", one })}
                  more={{ "aria-label": t`Remove ${one.username}` }}
                >
                  {t`Remove…`}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </ListView>
      {offers.length > 0 && (
        <section class="stack" aria-label={t`Open offers`}>
          <div class="section-head">
            <h2>{t`Open offers`}</h2>
          </div>
          <ul class="rows-card" aria-label={t`Open offers`}>
            {offers.map((one) => (
              <li key={`${one.issuer} ${one.username}`}>
                <div class="grow">
                  <span class="medium">{one.username}</span>
                  <p class="meta t3 anywhere">
                    {t`${ROLE_LABELS[one.role]}, offered by ${one.made_by}`}
                    {one.issuer && ` · ${one.issuer}`}
                  </p>
                </div>
                <Button
                  slim
                  busy={act.busy}
                  onClick={() =>
                    void act.run(async () => {
                      await removeMember(one.username, one.issuer);
                      saved(t`The offer was withdrawn`);
                    })
                  }
                >
                  {t`Withdraw`}
                </Button>
              </li>
            ))}
          </ul>
        </section>
      )}
      {openDialog?.kind === "add" && <Edit onClose={close} onSaved={() => saved(t`If there is such a user, they can accept now`)} />}
      {openDialog?.kind === "edit" && <Edit one={openDialog.one} onClose={close} onSaved={() => saved(t`Saved`)} />}
      {openDialog?.kind === "remove" && (
        <Typed
          name={openDialog.one.username}
          title={t`Remove ${openDialog.one.username}`}
          text={t`Their rights and tokens in this organisation end now. The account stays, and can be offered a membership again.`}
          button={t`Remove member`}
          onClose={close}
          act={async () => {
            await removeMember(openDialog.one.username);
            saved(t`${openDialog.one.username} is no member any more`);
          }}
        />
      )}
    </div>
  );
}

/** Offers a membership, or changes one. */
function Edit({ one, onClose, onSaved }: { one?: MemberView; onClose: () => void; onSaved: () => void }) {
  const [username, setUsername] = useState("");
  const [provider, setProvider] = useState("");
  const [providers, setProviders] = useState<readonly SsoButtonView[]>([]);
  useEffect(() => {
    // Without them a user is offered a membership by name.
    if (!one) void loadButtons().then(setProviders, () => undefined);
  }, []);
  const [role, setRole] = useState<Role>(one?.role ?? "viewer");
  const [grants, setGrants] = useState<GrantsView | null>(one?.grants ?? null);
  const limit = role === "admin" ? null : grants;
  const ready = (one !== undefined || username.trim() !== "") && !(limit && grantsNothing(limit));
  const save = async (): Promise<void> => {
    if (one) await patchMember(one.username, { role, ...(limit ? { grants: limit } : { all_nodes: true }) });
    else await offerMembership({ username: username.trim(), provider: provider || null, role, grants: limit });
    onSaved();
  };
  return (
    <FormDialog
      title={one ? t`Role and nodes of ${one.username}` : t`Offer membership`}
      icon="users"
      size="narrow"
      submit={one ? t`Save` : t`Offer`}
      ready={ready}
      onSave={save}
      onClose={onClose}
    >
      {!one && providers.length > 0 && (
        <SelectField
          label={t`Known by`}
          value={provider}
          onPick={setProvider}
          options={[
            ["", t`The name at this hub`],
            ...providers.map(({ name, title }) => [name, t`An address at ${title}`] as [string, string]),
          ]}
        />
      )}
      {!one && (
        <TextField
          label={provider ? t`E-mail address` : t`User name`}
          hint={
            provider
              ? t`The provider must confirm it at the sign-in. Who is new here gets an account, and accepts.`
              : t`The user accepts under Settings, Account. You are not told whether the name exists.`
          }
          value={username}
          onText={setUsername}
          code
          input={{ maxLength: 64, required: true, autofocus: true }}
        />
      )}
      <RoleField value={role} onPick={setRole} />
      {role !== "admin" && <NodesField label={t`Nodes`} value={grants} onChange={setGrants} every={t`Every node`} />}
    </FormDialog>
  );
}
