import { useState } from "preact/hooks";
import { grantsNothing, ROLE_HINTS, ROLE_LABELS, ROLES, type Role } from "../../core/access/account-labels";
import { t } from "../../core/text";
import { loadPolicies } from "../../state/rollouts";
import { addUser, patchUser, resetPassword } from "../../state/users";
import type { AccountView, GrantsView, OneTimePasswordView } from "../../state/types";
import { Banner, Glyph, TextField } from "../../ui";
import { ConfirmName } from "../../ui/form";
import { RadioCards } from "../../ui/radio-cards";
import { FormDialog } from "../form-dialog";
import { NodesField } from "../nodes-field";
import { useAnswer } from "../use-answer";

const roleOptions = (roles: readonly Role[]): { key: Role; label: string; hint: string }[] =>
  roles.map((key) => ({ key, label: ROLE_LABELS[key], hint: ROLE_HINTS[key] }));

export function RoleField({ value, onPick, roles = ROLES }: { value: Role; onPick: (role: Role) => void; roles?: readonly Role[] }) {
  return <RadioCards label={t`Role`} value={value} onPick={onPick} options={roleOptions(roles)} />;
}

export function AddUser({ onClose, onMade }: { onClose: () => void; onMade: (made: OneTimePasswordView) => void }) {
  const [username, setUsername] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [grants, setGrants] = useState<GrantsView | null>(null);
  const limit = role === "admin" ? null : grants;
  const ready = username.trim() !== "" && !(limit && grantsNothing(limit));
  return (
    <FormDialog
      title={t`Add user`}
      icon="users"
      size="narrow"
      submit={t`Add user`}
      ready={ready}
      onSave={async () => onMade(await addUser({ username: username.trim(), role, grants: limit }))}
      onClose={onClose}
    >
      <TextField
        label={t`User name`}
        value={username}
        onText={setUsername}
        code
        input={{ maxLength: 64, required: true, autofocus: true }}
      />
      <RoleField value={role} onPick={setRole} />
      {role !== "admin" && <NodesField label={t`Nodes`} value={grants} onChange={setGrants} every={t`Every node`} />}
    </FormDialog>
  );
}

/** The patch policies that pause if this user may no longer act. */
function OwnedPolicies({ who }: { who: AccountView }) {
  const { found, failure } = useAnswer(loadPolicies);
  if (failure) return <p class="wrong">{t`It is not known which patch policies ${who.username} owns: ${failure.detail}`}</p>;
  const owned = found?.filter(({ owner }) => owner === who.username) ?? [];
  if (!owned.length) return null;
  const names = owned.map(({ name }) => name).join(", ");
  return (
    <Banner kind="" mark={<Glyph kind="warn" label="" />}>
      {owned.length === 1
        ? t`The patch policy ${names} runs with the rights of ${who.username}. It pauses until an admin takes it over, under Patching.`
        : t`These patch policies run with the rights of ${who.username}: ${names}. They pause until an admin takes them over, under Patching.`}
    </Banner>
  );
}

export function EditUser({ who, onClose, onChanged }: { who: AccountView; onClose: () => void; onChanged: (who: AccountView) => void }) {
  const [role, setRole] = useState<Role>(who.role);
  const [grants, setGrants] = useState<GrantsView | null>(who.grants);
  const limit = role === "admin" ? null : grants;
  const changedGrants = JSON.stringify(limit) !== JSON.stringify(who.grants);
  const ready = (role !== who.role || changedGrants) && !(limit && grantsNothing(limit));
  const save = async (): Promise<void> => {
    const part = changedGrants ? (limit ? { grants: limit } : { all_nodes: true }) : {};
    onChanged(await patchUser(who.username, { ...(role !== who.role ? { role } : {}), ...part }));
  };
  return (
    <FormDialog
      title={t`Role and nodes of ${who.username}`}
      icon="shield"
      size="narrow"
      submit={t`Save`}
      ready={ready}
      onSave={save}
      done={[t`Saved`, t`It applies to ${who.username} from the next request.`]}
      onClose={onClose}
    >
      <RoleField value={role} onPick={setRole} />
      {role !== "admin" && <NodesField label={t`Nodes`} value={grants} onChange={setGrants} every={t`Every node`} />}
      {role === "viewer" && role !== who.role && <OwnedPolicies who={who} />}
    </FormDialog>
  );
}

interface TypedProps {
  name: string;
  title: string;
  text: string;
  button: string;
  onClose: () => void;
  act: () => Promise<void>;
}

/** The dialog of an irreversible action. The user types the name first. */
export function Typed({ name, title, text, button, onClose, act }: TypedProps) {
  const [typed, setTyped] = useState("");
  return (
    <FormDialog title={title} size="narrow" submit={button} ready={typed === name} kind="destroy" onSave={act} onClose={onClose}>
      <p class="t2">{text}</p>
      <ConfirmName name={name} value={typed} onText={setTyped} />
    </FormDialog>
  );
}

export function ResetPassword({
  who,
  onClose,
  onMade,
}: {
  who: AccountView;
  onClose: () => void;
  onMade: (made: OneTimePasswordView) => void;
}) {
  return (
    <Typed
      name={who.username}
      title={t`Reset the password of ${who.username}`}
      text={t`Their current password stops working, and all their sessions and tokens end. They get a one-time password instead; the second factor stays as it is. This cannot be undone.`}
      button={t`Reset password`}
      onClose={onClose}
      act={async () => onMade(await resetPassword(who.username))}
    />
  );
}

export function Disable({ who, onClose, onChanged }: { who: AccountView; onClose: () => void; onChanged: (who: AccountView) => void }) {
  return (
    <FormDialog
      title={t`Disable ${who.username}`}
      icon="lock"
      size="narrow"
      submit={t`Disable`}
      kind="destroy"
      onSave={async () => onChanged(await patchUser(who.username, { disabled: true }))}
      done={[t`${who.username} was disabled`]}
      onClose={onClose}
    >
      <p class="t2">{t`All their sessions end now, their API tokens stop working, and they cannot sign in until they are enabled again. Running jobs continue.`}</p>
      <OwnedPolicies who={who} />
    </FormDialog>
  );
}
