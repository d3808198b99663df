import { useState } from "preact/hooks";
import { nameError } from "../../core/nodes/node-name";
import { policyLines, type PolicyWishes } from "../../core/deployments/policy-wishes";
import { age, date, plural, pluralWord, shortDuration, t } from "../../core/text";
import { POLICIES } from "../../core/jobs/job-labels";
import { now } from "../../state/clock";
import { loaded, rows } from "../../state/fleet";
import { endInvite, loadInvites, makeInvite } from "../../state/invites";
import { isAdmin } from "../../state/session";
import { withStepUp } from "../../state/step-up";
import { toast } from "../../state/toasts";
import type { InviteView, NewInviteView } from "../../state/types";
import { Button, Empty, TextField } from "../../ui";
import { Check, SelectField, TagsField } from "../../ui/form";
import { GridHead, Cell } from "../../ui/grid-head";
import { SectionHead } from "../../ui/section-head";
import { Time } from "../../ui/time";
import { PolicyFields } from "../add/policy-fields";
import { PendingApproval } from "../fleet/pending-approval";
import { FormDialog } from "../form-dialog";
import { ListView, useList, pageOf } from "../list-view";
import { HubKeySection } from "./hub-key";
import { SecretOnce } from "./secret-once";
import { Typed } from "./user-dialogs";

const LIVES: readonly [string, string][] = [
  ["1", t`1 day`],
  ["7", t`7 days`],
  ["30", t`30 days`],
  ["90", t`90 days`],
];
const STATES: Record<InviteView["state"], string> = { open: t`open`, used: t`used up`, expired: t`expired`, revoked: t`revoked` };

type OpenDialog = { kind: "new" } | { kind: "revoke"; one: InviteView } | { kind: "made"; made: NewInviteView };

/** The settings for servers that join by themselves: secrets, and nodes that wait for approval. */
export function InvitesPage() {
  const list = useList<InviteView>(pageOf(loadInvites, "invites"), (one) => one.id);
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const close = (): void => setOpenDialog(null);
  return (
    <div class="stack">
      <Approval />
      <SectionHead
        title={t`Organisation secrets and invites`}
        text={t`An organisation secret lets many servers join on their own, for example from cloud-init or Ansible. An invite is for one server; create it under Add node.`}
      >
        {isAdmin.value && (
          <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "new" })}>
            {t`New organisation secret`}
          </Button>
        )}
      </SectionHead>
      <ListView
        list={list}
        what={t`the invites`}
        refused={t`Your role cannot see invites.`}
        empty={
          <Empty
            icon="file-key"
            title={t`No organisation secrets`}
            text={isAdmin.value ? t`Create one to let servers join on their own at first boot.` : t`Only admins can create them.`}
          />
        }
      >
        {(items) => (
          <div class="card grid-table invites-table" role="table" aria-label={t`Organisation secrets and invites`}>
            <GridHead labels={[t`For`, t`State`, t`Used`, t`Until`, t`Created by`, t`Actions`]} unseen={[t`Actions`]} />
            {items.map((one) => (
              <Row key={one.id} one={one} onRevoke={() => setOpenDialog({ kind: "revoke", one })} />
            ))}
          </div>
        )}
      </ListView>
      {isAdmin.value && <HubKeySection />}
      {openDialog?.kind === "new" && (
        <NewSecret
          onClose={close}
          onMade={(made) => {
            list.set((held) => [made.info, ...held]);
            setOpenDialog({ kind: "made", made });
          }}
        />
      )}
      {openDialog?.kind === "made" && (
        <SecretOnce
          title={openDialog.made.info.name}
          label={t`Organisation secret`}
          secret={openDialog.made.invite}
          text={howTo(openDialog.made)}
          onClose={close}
        />
      )}
      {openDialog?.kind === "revoke" && (
        <Typed
          name={nameOf(openDialog.one)}
          title={t`Revoke ${nameOf(openDialog.one)}`}
          text={t`No more servers can join with it. ${openDialog.one.uses ? t`The ${plural(openDialog.one.uses, "server")} that joined with it ${pluralWord(openDialog.one.uses, "stays", "stay")}.` : t`None has joined with it.`} This cannot be undone.`}
          button={t`Revoke`}
          onClose={close}
          act={async () => {
            await endInvite(openDialog.one.id);
            list.set((held) =>
              held.map((one) => (one.id === openDialog.one.id ? { ...one, state: "revoked", revoked_at: now.peek() } : one)),
            );
            toast("done", t`${nameOf(openDialog.one)} was revoked`);
            close();
          }}
        />
      )}
    </div>
  );
}

const nameOf = (one: InviteView): string => one.name || t`Invite for one server`;

function howTo(made: NewInviteView): string {
  const reach = made.this_machine_only
    ? ` ${t`Other servers cannot reach this hub yet, so only this machine can join. Start it with --lan, or behind a TLS proxy with --server-url.`}`
    : "";
  return t`Put it in a file that only root can read, and pass that file to install.sh on standard input. The script is at ${made.installer.url}, its SHA-256 is ${made.installer.sha256}.${reach}`;
}

/** The nodes that wait for approval, and their number. */
function Approval() {
  const count = rows.value.filter((row) => row.node.waiting).length;
  return (
    <section class="stack" aria-label={t`Servers waiting for approval`}>
      <div class="section-head">
        <div>
          <h2>{t`Waiting for approval`}</h2>
          <p class="t3 meta" role="status">
            {count
              ? t`${plural(count, "server")} asked to join with an organisation secret. Check name and address before you approve.`
              : loaded.value
                ? t`No servers are waiting.`
                : ""}
          </p>
        </div>
      </div>
      <PendingApproval />
    </section>
  );
}

function Row({ one, onRevoke }: { one: InviteView; onRevoke: () => void }) {
  const left = one.expires_at - now.value;
  const state = one.state === "open" && left <= 0 ? "expired" : one.state;
  return (
    <div role="row" data-state={state}>
      <Cell head class="row wrap">
        <span class="medium cut">{nameOf(one)}</span>
        {one.kind === "organisation" && !one.approval && <span class="pill small warn">{t`without approval`}</span>}
        {one.tags.map((tag) => (
          <span key={tag} class="tag">
            {tag}
          </span>
        ))}
      </Cell>
      <Cell class={state === "open" ? "" : "t3"}>{STATES[state]}</Cell>
      <Cell class="t2 num">{t`${one.uses} of ${one.most_uses}`}</Cell>
      <Cell class="t2">
        <Time at={one.expires_at}>
          {left <= 0
            ? t`${age(-left)} ago`
            : left < 86_400
              ? t`in ${shortDuration(left)}`
              : t`${date(one.expires_at, now.value)}, in ${shortDuration(left)}`}
        </Time>
      </Cell>
      <Cell class="t3 cut">{one.created_by}</Cell>
      <Cell class="right row">
        {state === "open" && (
          <Button slim kind="danger" more={{ "aria-label": t`Revoke ${nameOf(one)}` }} onClick={onRevoke}>
            {t`Revoke…`}
          </Button>
        )}
      </Cell>
    </div>
  );
}

function NewSecret({ onClose, onMade }: { onClose: () => void; onMade: (made: NewInviteView) => void }) {
  const [name, setName] = useState("");
  const [uses, setUses] = useState("100");
  const [days, setDays] = useState("7");
  const [wishes, setWishes] = useState<PolicyWishes>({ policy: "managed", units: "", journal: "", events: "" });
  const [tags, setTags] = useState<readonly string[]>([]);
  const [approval, setApproval] = useState(true);
  const wrongUses = /^\d{1,4}$/.test(uses.trim()) && Number(uses) >= 1 && Number(uses) <= 1000 ? "" : t`1 to 1000`;
  const ready = name.trim() !== "" && !wrongUses;
  const make = async (): Promise<void> =>
    onMade(
      await withStepUp(
        () =>
          makeInvite({
            kind: "organisation",
            name: name.trim(),
            uses: Number(uses),
            days: Number(days),
            policy: wishes.policy,
            ...policyLines(wishes),
            tags: [...tags],
            approval,
          }),
        t`Enter your password to make an organisation secret.`,
      ),
    );
  return (
    <FormDialog
      title={t`New organisation secret`}
      icon="file-key"
      size="narrow"
      submit={t`Create secret`}
      ready={ready}
      onSave={make}
      onClose={onClose}
    >
      <TextField
        label={t`Name`}
        hint={t`What it is for, such as “web servers, autumn”.`}
        value={name}
        onText={setName}
        wrong={nameError(name)}
        code
        input={{ required: true, autofocus: true }}
      />
      <div class="halves">
        <TextField
          label={t`Maximum servers`}
          value={uses}
          onText={setUses}
          wrong={wrongUses}
          input={{ inputmode: "numeric", maxLength: 4 }}
        />
        <SelectField label={t`Valid for`} value={days} onPick={setDays} options={LIVES} />
      </div>
      <SelectField
        label={t`Policy on the servers`}
        value={wishes.policy}
        onPick={(policy) => setWishes({ ...wishes, policy: policy as PolicyWishes["policy"] })}
        options={POLICIES}
      />
      <PolicyFields entries={wishes} onChange={(part) => setWishes({ ...wishes, ...part })} />
      <TagsField label={t`Tags`} tags={tags} onTags={setTags} />
      <Check checked={approval} onCheck={setApproval}>
        {t`Each server waits for approval`}
      </Check>
      {!approval && <p class="hint">{t`Anyone with the secret can add servers without approval.`}</p>}
    </FormDialog>
  );
}
