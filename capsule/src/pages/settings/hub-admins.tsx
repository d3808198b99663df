/** The admins of the hub, and the hub's own audit log: what they did to organisations and to each other. */

import { useState } from "preact/hooks";
import { auditKey } from "../../core/access/audit";
import { t } from "../../core/text";
import { loadHubAdmins, loadHubAudit, setHubAdmin } from "../../state/organisations";
import { user } from "../../state/session";
import { toast } from "../../state/toasts";
import type { AuditView, InstanceAdminView } from "../../state/types";
import { Button, Empty, TextField } from "../../ui";
import { SectionHead } from "../../ui/section-head";
import { FormDialog } from "../form-dialog";
import { ListView, useList, pageOf } from "../list-view";
import { NONE_KNOWN, Rows } from "./audit";
import { Typed } from "./user-dialogs";

export function HubAdmins({ onChanged }: { onChanged: () => void }) {
  const list = useList<InstanceAdminView>(pageOf(loadHubAdmins, "admins"), (one) => one.username);
  const [open, setOpen] = useState<"" | "add" | InstanceAdminView>("");
  const saved = (text: string): void => {
    toast("done", text);
    list.load();
    onChanged();
    setOpen("");
  };
  return (
    <section class="stack" aria-label={t`Admins of the hub`}>
      <SectionHead
        title={t`Admins of the hub`}
        text={t`They manage organisations, providers, backups and the hub itself, and see no servers of organisations they do not belong to.`}
      >
        <Button icon="plus" class="end" onClick={() => setOpen("add")}>
          {t`Add admin of the hub`}
        </Button>
      </SectionHead>
      <ListView
        list={list}
        what={t`the admins of the hub`}
        refused={t`Only admins of this hub see them.`}
        empty={<Empty icon="users" title={t`No admins of the hub`} text={t`Who manages this hub is listed here.`} />}
      >
        {(items) => (
          <ul class="rows-card" aria-label={t`Admins of the hub`}>
            {items.map((one) => (
              <li key={one.username}>
                <div class="grow">
                  <span class="medium">{one.username}</span>{" "}
                  {one.username === user.value?.username && <span class="pill small accent">{t`you`}</span>}
                  {one.disabled && <span class="pill small">{t`disabled`}</span>}
                  <p class="meta t3">{one.totp_enabled ? t`with a second factor` : t`without a second factor`}</p>
                </div>
                <Button
                  slim
                  kind="danger"
                  onClick={() => setOpen(one)}
                  more={{ "aria-label": t`Remove ${one.username} from the admins of the hub` }}
                >
                  {t`Remove…`}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </ListView>
      {open === "add" && <Add onClose={() => setOpen("")} onSaved={(name) => saved(t`${name} is an admin of the hub now`)} />}
      {open !== "" && open !== "add" && (
        <Typed
          name={open.username}
          title={t`Remove ${open.username} from the admins of the hub`}
          text={t`The account and its memberships stay.`}
          button={t`Remove admin of the hub`}
          onClose={() => setOpen("")}
          act={async () => {
            await setHubAdmin(open.username, false);
            saved(t`${open.username} is no admin of the hub any more`);
          }}
        />
      )}
    </section>
  );
}

function Add({ onClose, onSaved }: { onClose: () => void; onSaved: (name: string) => void }) {
  const [name, setName] = useState("");
  return (
    <FormDialog
      title={t`Add admin of the hub`}
      icon="users"
      size="narrow"
      submit={t`Add admin of the hub`}
      ready={name.trim() !== ""}
      onSave={async () => {
        await setHubAdmin(name.trim(), true);
        onSaved(name.trim());
      }}
      onClose={onClose}
    >
      <TextField
        label={t`User name`}
        hint={t`An account of this hub.`}
        value={name}
        onText={setName}
        code
        input={{ maxLength: 64, required: true, autofocus: true }}
      />
    </FormDialog>
  );
}

export function HubAudit() {
  const list = useList<AuditView>(pageOf(loadHubAudit, "audit"), auditKey);
  return (
    <section class="stack" aria-label={t`Audit of the hub`}>
      <SectionHead title={t`Audit of the hub`} text={t`Organisations that were made, changed and deleted, and who looked inside.`} />
      <ListView
        list={list}
        what={t`the audit log of the hub`}
        refused={t`Only admins of this hub see it.`}
        empty={<Empty icon="scroll-text" title={t`No entries yet`} text={t`What admins of the hub change is listed here.`} />}
      >
        {(items) => <Rows rows={items} known={NONE_KNOWN} />}
      </ListView>
    </section>
  );
}
