/** All organisations of the hub, for its admins: counts, never content. */

import { useState } from "preact/hooks";
import { plural, t } from "../../core/text";
import {
  addOrganisation,
  breakGlass,
  deleteOrganisation,
  loadOrganisations,
  patchOrganisation,
  removeAgents,
  setSuspended,
} from "../../state/organisations";
import { manyOrganisations } from "../../state/organisation";
import { reloadUser, user } from "../../state/session";
import { toast } from "../../state/toasts";
import type { FirstAdminView, OrganisationSummaryView } from "../../state/types";
import { Button, Empty, Icon, MenuButton, TextField } from "../../ui";
import { Check, ConfirmName, SelectField } from "../../ui/form";
import { SectionHead } from "../../ui/section-head";
import { FormDialog } from "../form-dialog";
import { ListView, useList } from "../list-view";
import { MeetingNotice } from "../meeting";
import { ActionError, useAction } from "../use-action";
import { useMeeting } from "../use-meeting";
import { HubAdmins, HubAudit } from "./hub-admins";
import { SecretOnce } from "./secret-once";

type One = OrganisationSummaryView;
type OpenDialog = { kind: "add" } | { kind: "edit" | "delete" | "glass"; one: One } | { kind: "password"; first: FirstAdminView };

export function OrganisationsPage() {
  const list = useList<One>(
    async () => ({ items: await loadOrganisations(), next: null }),
    (one) => one.slug,
  );
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const [changes, setChanges] = useState(0);
  const changed = (): void => setChanges((before) => before + 1);
  const act = useAction();
  const close = (): void => setOpenDialog(null);
  const saved = (text: string, next: OpenDialog | null = null): void => {
    toast("done", text);
    list.load();
    changed();
    setOpenDialog(next);
    void reloadUser();
  };
  const suspend = (one: One, on: boolean): void =>
    void act.run(async () => {
      await setSuspended(one.slug, on);
      saved(on ? t`${one.name} is suspended` : t`${one.name} is active again; what was paused stays paused`);
    });
  const clear = (one: One): void =>
    void act.run(async () => {
      const { removing, unreached } = await removeAgents(one.slug);
      saved(
        unreached.length
          ? t`${plural(removing.length, "agent")} are being removed; not reached: ${unreached.join(", ")}`
          : t`${plural(removing.length, "agent")} are being removed`,
      );
    });
  return (
    <div class="stack">
      <SectionHead title={t`Organisations`} text={t`Each has servers, users and rules of its own, and sees nothing of the others.`}>
        <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "add" })}>
          {t`Add organisation`}
        </Button>
      </SectionHead>
      <ActionError text={act.refusal} />
      <ListView
        list={list}
        what={t`the organisations`}
        refused={t`Only admins of this hub see its organisations.`}
        empty={<Empty icon="users" title={t`No organisations`} text={t`Teams that share this hub are listed here.`} />}
      >
        {(items) => (
          <ul class="rows-card" aria-label={t`Organisations`}>
            {items.map((one) => (
              <li key={one.slug}>
                <div class="grow">
                  <span class="medium">{one.name}</span> <span class="pill small">{one.slug}</span>{" "}
                  {one.state === "suspended" && <span class="pill small warn">{t`suspended`}</span>}{" "}
                  {one.member && <span class="pill small accent">{t`you are a member`}</span>}
                  <p class="meta t3">
                    {[
                      one.node_quota === null
                        ? plural(one.nodes, "server")
                        : t`${one.nodes} of at most ${plural(one.node_quota, "server")}`,
                      plural(one.members, "member"),
                      plural(one.jobs, "job"),
                      plural(one.events, "event"),
                    ].join(" · ")}
                  </p>
                </div>
                <MenuButton
                  label={t`Actions for ${one.name}`}
                  class="quiet slim only-icon"
                  groups={[
                    [
                      { label: t`Name and quota…`, icon: "settings", run: () => setOpenDialog({ kind: "edit", one }) },
                      ...(one.member
                        ? []
                        : [{ label: t`Look inside…`, icon: "search" as const, run: () => setOpenDialog({ kind: "glass", one }) }]),
                    ],
                    [
                      one.state === "suspended"
                        ? { label: t`Resume`, icon: "check", run: () => suspend(one, false) }
                        : { label: t`Suspend`, icon: "lock", danger: true, run: () => suspend(one, true) },
                    ],
                    one.first
                      ? []
                      : [
                          ...(one.nodes ? [{ label: t`Remove its agents`, icon: "server" as const, run: () => clear(one) }] : []),
                          { label: t`Delete…`, icon: "trash-2" as const, danger: true, run: () => setOpenDialog({ kind: "delete", one }) },
                        ],
                  ]}
                >
                  <Icon name="ellipsis" size="small" />
                </MenuButton>
              </li>
            ))}
          </ul>
        )}
      </ListView>
      {manyOrganisations.value && (
        <>
          <HubAdmins onChanged={changed} />
          <HubAudit key={changes} />
        </>
      )}
      {openDialog?.kind === "add" && (
        <Edit
          onClose={close}
          onSaved={(name, first) =>
            saved(
              first?.how === "offered" ? t`${name} was added; ${first.username} must accept to be its admin` : t`${name} was added`,
              first?.password ? { kind: "password", first } : null,
            )
          }
        />
      )}
      {openDialog?.kind === "edit" && <Edit one={openDialog.one} onClose={close} onSaved={() => saved(t`Saved`)} />}
      {openDialog?.kind === "glass" && (
        <Glass
          one={openDialog.one}
          onClose={close}
          onDone={() => saved(t`You may look into ${openDialog.one.name} now; its members are told`)}
        />
      )}
      {openDialog?.kind === "delete" && (
        <Delete one={openDialog.one} onClose={close} onDone={() => saved(t`${openDialog.one.name} was deleted`)} />
      )}
      {openDialog?.kind === "password" && (
        <SecretOnce
          title={t`${openDialog.first.username} was added`}
          label={t`One-time password`}
          secret={openDialog.first.password ?? ""}
          text={t`Give this to ${openDialog.first.username}. It allows one sign-in, only to choose a new password, and expires after 24 hours.`}
          onClose={close}
        />
      )}
    </div>
  );
}

/** The fields as typed. */
interface Draft {
  name: string;
  slug: string;
  node_quota: string;
}

const quotaOf = (text: string): number | null => (text.trim() ? Number(text) : null);
const isQuota = (text: string): boolean => /^\d{0,7}$/.test(text.trim());

/** Adds an organisation, or changes one. */
function Edit({
  one,
  onClose,
  onSaved,
}: {
  one?: One;
  onClose: () => void;
  onSaved: (name: string, first: FirstAdminView | null) => void;
}) {
  const edited = useMeeting<One, Draft>({
    read: one,
    empty: () => ({ name: "", slug: "", node_quota: "" }),
    draftOf: ({ name, slug, node_quota: quota }) => ({ name, slug, node_quota: quota === null ? "" : `${quota}` }),
    reload: async ({ slug }) => (await loadOrganisations()).find((each) => each.slug === slug),
  });
  const { name, slug, node_quota: quota } = edited.draft;
  const [admin, setAdmin] = useState(user.peek()?.username ?? "");
  const short =
    slug ||
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^[^a-z]+|-+$/g, "")
      .slice(0, 40);
  const ready = name.trim() !== "" && /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/.test(short) && isQuota(quota);
  const save = async (): Promise<void> => {
    const body = { slug: short, name: name.trim(), node_quota: quotaOf(quota) };
    await edited.save(async (stored) => {
      if (stored) {
        onSaved((await patchOrganisation(stored.slug, { version: stored.version, ...body })).name, null);
      } else {
        const made = await addOrganisation({ ...body, first_admin: admin.trim() || null });
        onSaved(made.organisation.name, made.first_admin);
      }
    });
  };
  return (
    <FormDialog
      title={one ? t`Name and quota of ${one.name}` : t`Add organisation`}
      icon={one ? "settings" : "users"}
      size="narrow"
      submit={one ? t`Save` : t`Add organisation`}
      ready={ready}
      onSave={save}
      onClose={onClose}
    >
      {edited.met && <MeetingNotice met={edited.met} onTake={edited.takeTheirs} />}
      <TextField
        label={t`Name`}
        value={name}
        onText={(text) => edited.change({ name: text })}
        input={{ maxLength: 60, required: true, autofocus: true }}
      />
      <TextField
        label={t`Short name`}
        hint={one ? t`Programs that name it must be changed, too.` : t`2 to 40 of a-z, 0-9 and -. Programs name it with each request.`}
        value={short}
        onText={(text) => edited.change({ slug: text })}
        code
        input={{ maxLength: 40 }}
      />
      {!one && (
        <TextField
          label={t`First admin`}
          hint={t`An unknown name becomes an account with a one-time password. A known user must accept.`}
          value={admin}
          onText={setAdmin}
          code
          input={{ maxLength: 64 }}
        />
      )}
      <TextField
        label={t`Most servers`}
        hint={t`Empty: no limit.`}
        value={quota}
        wrong={isQuota(quota) ? "" : t`A whole number.`}
        onText={(text) => edited.change({ node_quota: text })}
        input={{ inputmode: "numeric" }}
      />
    </FormDialog>
  );
}

function Glass({ one, onClose, onDone }: { one: One; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState("");
  const [minutes, setMinutes] = useState("60");
  return (
    <FormDialog
      title={t`Look into ${one.name}`}
      icon="search"
      size="narrow"
      submit={t`Look inside`}
      ready={reason.trim() !== ""}
      onSave={async () => {
        await breakGlass(one.slug, reason.trim(), Number(minutes) / 60);
        onDone();
      }}
      onClose={onClose}
    >
      <p class="t2">{t`You become a viewer for a while. The events of the organisation say who, for how long, and why.`}</p>
      <TextField label={t`Reason`} value={reason} onText={setReason} input={{ maxLength: 200, required: true, autofocus: true }} />
      <SelectField
        label={t`For`}
        value={minutes}
        onPick={setMinutes}
        options={[
          ["30", t`30 minutes`],
          ["60", t`1 hour`],
          ["240", t`4 hours`],
        ]}
      />
    </FormDialog>
  );
}

function Delete({ one, onClose, onDone }: { one: One; onClose: () => void; onDone: () => void }) {
  const [typed, setTyped] = useState("");
  const [abandon, setAbandon] = useState(false);
  return (
    <FormDialog
      title={t`Delete ${one.name}`}
      size="narrow"
      submit={t`Delete organisation`}
      ready={typed === one.slug && (!one.nodes || abandon)}
      kind="destroy"
      onSave={async () => {
        await deleteOrganisation(one.slug, abandon);
        onDone();
      }}
      onClose={onClose}
    >
      <p class="t2">
        {t`Its servers, history, rules, users of its own and keys are deleted. Backups keep them until they age out. This cannot be undone.`}
      </p>
      {one.nodes > 0 && (
        <Check checked={abandon} onCheck={setAbandon}>
          {t`Leave the agents on its ${plural(one.nodes, "server")}. “Remove its agents” in the menu removes them first.`}
        </Check>
      )}
      <ConfirmName name={one.slug} value={typed} onText={setTyped} />
    </FormDialog>
  );
}
