import { useState } from "preact/hooks";
import { grantsLabel, grantsNothing, ROLE_LABELS, rolesUpTo, type Role } from "../../core/access/account-labels";
import { age, date, shortDuration, t } from "../../core/text";
import { now } from "../../state/clock";
import { addToken, loadTokens, revokeToken } from "../../state/users";
import { user } from "../../state/session";
import { toast } from "../../state/toasts";
import type { ApiTokenView, GrantsView, NewTokenView } from "../../state/types";
import { Button, Empty, TextField } from "../../ui";
import { Check, SelectField } from "../../ui/form";
import { GridHead, Cell } from "../../ui/grid-head";
import { SectionHead } from "../../ui/section-head";
import { Time } from "../../ui/time";
import { FormDialog } from "../form-dialog";
import { NodesField } from "../nodes-field";
import { ListView, useList, pageOf } from "../list-view";
import { SecretOnce } from "./secret-once";
import { RoleField, Typed } from "./user-dialogs";

const SOON_S = 7 * 86_400;
const LIVES: readonly [string, string][] = [
  ["7", t`7 days`],
  ["30", t`30 days`],
  ["90", t`90 days`],
  ["180", t`180 days`],
  ["365", t`1 year`],
];

type OpenDialog = { kind: "new" } | { kind: "revoke"; one: ApiTokenView } | { kind: "made"; made: NewTokenView };

export function TokensPage() {
  const list = useList<ApiTokenView>(pageOf(loadTokens, "tokens"), (one) => one.id);
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const close = (): void => setOpenDialog(null);
  const button = (
    <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "new" })}>
      {t`New token`}
    </Button>
  );
  return (
    <div class="stack">
      <SectionHead title={t`API tokens`} text={t`For programs, sent as “Authorization: Bearer”. A token can never do more than its owner.`}>
        {button}
      </SectionHead>
      <ListView
        list={list}
        what={t`the tokens`}
        refused={t`Your role cannot see API tokens.`}
        empty={<Empty icon="file-key" title={t`No API tokens`} text={t`Create one for a script or monitoring tool that needs access.`} />}
      >
        {(items) => (
          <div class="card grid-table tokens-table" role="table" aria-label={t`API tokens`}>
            <GridHead labels={[t`Name`, t`Role`, t`Nodes`, t`Expires`, t`Last used`, t`Actions`]} unseen={[t`Actions`]} />
            {items.map((one) => (
              <Row key={one.id} one={one} onRevoke={() => setOpenDialog({ kind: "revoke", one })} />
            ))}
          </div>
        )}
      </ListView>
      {openDialog?.kind === "new" && (
        <NewToken
          onClose={close}
          onMade={(made) => {
            list.set((held) => [made.info, ...held]);
            setOpenDialog({ kind: "made", made });
          }}
        />
      )}
      {openDialog?.kind === "made" && (
        <SecretOnce
          title={t`Token ${openDialog.made.info.name}`}
          label={t`Token`}
          secret={openDialog.made.token}
          text={t`Put it where the program reads it. Anyone who has it can do everything it allows, without a password.`}
          onClose={close}
        />
      )}
      {openDialog?.kind === "revoke" && (
        <Typed
          name={openDialog.one.name}
          title={t`Revoke ${openDialog.one.name}`}
          text={[
            t`Programs that use it are refused from their next request.`,
            openDialog.one.last_used_at === null
              ? t`It was never used.`
              : t`It was last used ${age(now.value - openDialog.one.last_used_at)} ago.`,
            t`This cannot be undone.`,
          ].join(" ")}
          button={t`Revoke token`}
          onClose={close}
          act={async () => {
            await revokeToken(openDialog.one.id);
            list.set((held) => held.filter((one) => one.id !== openDialog.one.id));
            toast("done", t`${openDialog.one.name} was revoked`);
            close();
          }}
        />
      )}
    </div>
  );
}

function Row({ one, onRevoke }: { one: ApiTokenView; onRevoke: () => void }) {
  const left = one.expires_at - now.value;
  const mine = one.username === user.value?.username;
  return (
    <div role="row">
      <Cell head class="row wrap">
        <span class="medium cut">{one.name}</span>
        {!mine && <span class="t3">{t`of ${one.username}`}</span>}
        {one.sensitive && <span class="pill small warn">{t`sensitive actions`}</span>}
      </Cell>
      <Cell class="t2">{ROLE_LABELS[one.role]}</Cell>
      <Cell class="t2 cut">{grantsLabel(one.grants, mine ? t`All your nodes` : t`All their nodes`)}</Cell>
      <Cell class={left < SOON_S ? "warn" : "t2"}>
        {left <= 0 ? (
          t`expired`
        ) : (
          <Time at={one.expires_at}>
            {left < SOON_S ? t`in ${shortDuration(left)}` : t`${date(one.expires_at, now.value)}, in ${shortDuration(left)}`}
          </Time>
        )}
      </Cell>
      <Cell class="t3 cut">
        {one.last_used_at === null
          ? t`never`
          : t`${age(now.value - one.last_used_at)} ago${one.last_address ? `, ${one.last_address}` : ""}`}
      </Cell>
      <Cell class="right row">
        <Button slim kind="danger" more={{ "aria-label": t`Revoke ${one.name}` }} onClick={onRevoke}>
          {t`Revoke…`}
        </Button>
      </Cell>
    </div>
  );
}

function NewToken({ onClose, onMade }: { onClose: () => void; onMade: (made: NewTokenView) => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [days, setDays] = useState("90");
  const [grants, setGrants] = useState<GrantsView | null>(null);
  const [sensitive, setSensitive] = useState(false);
  const own = user.value?.role ?? "viewer";
  const ready = name.trim() !== "" && !(grants && grantsNothing(grants));
  return (
    <FormDialog
      title={t`New API token`}
      icon="file-key"
      size="narrow"
      submit={t`Create token`}
      ready={ready}
      onSave={async () =>
        onMade(await addToken({ name: name.trim(), role, days: Number(days), grants, sensitive: sensitive && role !== "viewer" }))
      }
      onClose={onClose}
    >
      <TextField
        label={t`Name`}
        hint={t`What it is for, such as “backup script”.`}
        value={name}
        onText={setName}
        code
        input={{ maxLength: 64, required: true, autofocus: true }}
      />
      <RoleField value={role} onPick={setRole} roles={rolesUpTo(own)} />
      <SelectField label={t`Expires in`} value={days} onPick={setDays} options={LIVES} />
      <NodesField label={t`Nodes`} value={grants} onChange={setGrants} every={t`All nodes I can see`} />
      {role !== "viewer" && (
        <Check checked={sensitive} onCheck={setSensitive}>
          {t`May also do what normally asks for the password again, such as removing a node`}
        </Check>
      )}
    </FormDialog>
  );
}
