/** The tab of the rules, each as a sentence: rules of users, and default rules. */

import { useEffect, useState } from "preact/hooks";
import { ruleFits, ruleGroup, ruleSentence, selectWords, type RuleGroup } from "../../core/alerts/rule-text";
import { fieldChange, rulesFile } from "../../core/text/import-file";
import { plural, t } from "../../core/text";
import { applyRules, editRule, loadRules, removeRule, rules } from "../../state/alert-calls";
import { nodeLabel } from "../../state/node-label";
import { isAdmin, user } from "../../state/session";
import { toast } from "../../state/toasts";
import { ApiError, type RuleView } from "../../state/types";
import { Button, Empty, Failure, Icon, Loading, MenuButton, SearchField } from "../../ui";
import { downloadText } from "../../ui/download";
import { GridHead, Cell } from "../../ui/grid-head";
import { StaleNotice } from "../../ui/stale-notice";
import { ImportDialog } from "../import-dialog";
import { FormDialog } from "../form-dialog";
import { RuleDialog } from "./rule-dialog";

const GROUPS: readonly { key: RuleGroup; title: string }[] = [
  { key: "own", title: t`Own rules` },
  { key: "servers", title: t`Default rules for servers` },
  { key: "hub", title: t`Default rules for Ground Control` },
];

type OpenDialog = { kind: "new" | "import" } | { kind: "edit" | "reset" | "delete"; rule: RuleView };

/** Whether the user may change rules and channels. They apply to the whole fleet, so a user who sees only some nodes may not. */
export const mayManageAlerts = (): boolean => isAdmin.value && !user.value?.limited;

export function RulesTab() {
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [openDialog, setOpenDialog] = useState<OpenDialog | null>(null);
  const [search, setSearch] = useState("");
  const close = (): void => setOpenDialog(null);
  const load = async (): Promise<void> => {
    try {
      await loadRules();
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    }
  };
  useEffect(() => void load(), []);
  const all = rules.value;
  if (!all && failure) return <Failure title={t`The rules could not be read`} error={failure} onRetry={() => void load()} />;
  if (!all) return <Loading rows={10} what={t`the rules`} onRetry={() => void load()} />;
  const manages = mayManageAlerts();
  const found = all.filter((rule) => ruleFits(rule, search));
  return (
    <div class="stack">
      <div class="section-head">
        <p class="t3 meta grow">{t`Each rule holds for every server that it selects, also for those that join later.`}</p>
        <Button
          icon="download"
          class={manages ? "" : "end"}
          onClick={() => downloadText(rulesFile(all), "stardust-rules.json", "application/json")}
        >
          {t`Export`}
        </Button>
        {manages && <Button onClick={() => setOpenDialog({ kind: "import" })}>{t`Import…`}</Button>}
        {manages && (
          <Button kind="primary" icon="plus" class="end" onClick={() => setOpenDialog({ kind: "new" })}>
            {t`New rule`}
          </Button>
        )}
      </div>
      <div class="tools wrap">
        <SearchField label={t`Search rules`} placeholder={t`Search in names and sentences`} text={search} onText={setSearch} />
      </div>
      <StaleNotice failure={failure} onRetry={() => void load()} />
      {all.length > 0 && !found.length && (
        <Empty icon="filter" title={t`No rule matches`} text={t`None has all of these words in its name or sentence.`}>
          <Button onClick={() => setSearch("")}>{t`Show all rules`}</Button>
        </Empty>
      )}
      {!all.length && <Empty icon="bell" title={t`No rules`} text={t`A rule notifies when what it watches leaves its limits.`} />}
      {GROUPS.map(({ key, title }) => {
        const rows = found.filter((rule) => ruleGroup(rule) === key);
        return rows.length > 0 && <Group key={key} title={title} rules={rows} onAsk={setOpenDialog} />;
      })}
      {openDialog?.kind === "import" && (
        <ImportDialog
          title={t`Import rules`}
          kind="rules"
          hint={t`A file that was exported here, or by “stardust rules export”. Rules with the same id or name are changed, and rules that are not in the file stay.`}
          send={async (items, dryRun) => {
            const { rules: rows, left } = await applyRules([...items], dryRun);
            return { rows: rows.map(({ name, act, fields }) => ({ name, act, changes: fields.map(fieldChange) })), left: left.length };
          }}
          onDone={() => void load()}
          onClose={close}
        />
      )}
      {openDialog?.kind === "new" && <RuleDialog onClose={close} />}
      {openDialog?.kind === "edit" && <RuleDialog rule={openDialog.rule} onClose={close} />}
      {(openDialog?.kind === "reset" || openDialog?.kind === "delete") && <RemoveDialog rule={openDialog.rule} onClose={close} />}
    </div>
  );
}

function Group({ title, rules: rows, onAsk }: { title: string; rules: readonly RuleView[]; onAsk: (openDialog: OpenDialog) => void }) {
  return (
    <section class="stack" aria-label={title}>
      <h2 class="group-title">
        {title} <span class="t3">{rows.length}</span>
      </h2>
      {rows.some((rule) => !rule.editable) && <p class="t3 meta">{t`Only admins of this hub change rules about Ground Control itself.`}</p>}
      <div class="card grid-table rules-table" role="table" aria-label={title}>
        <GridHead labels={[t`On`, t`Rule`, t`Applies to`, t`Actions`]} unseen={[t`On`, t`Actions`]} />
        {rows.map((rule) => (
          <Row key={rule.id} rule={rule} onAsk={onAsk} />
        ))}
      </div>
    </section>
  );
}

/** Switches a rule on or off. A retry loads the rule first, because somebody else may have changed it. */
async function toggle(rule: RuleView, again = false): Promise<void> {
  try {
    const { version } = (again && (await loadRules()).find(({ id }) => id === rule.id)) || rule;
    await editRule(rule.id, { version, enabled: !rule.enabled });
    toast("done", rule.enabled ? t`${rule.name} is off` : t`${rule.name} is on`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === "auth.step_up_required") return; // the user closed the password question
    toast("fail", t`Not changed: ${rule.name}`, error.detail, { label: t`Retry`, run: () => void toggle(rule, true) });
  }
}

function Row({ rule, onAsk }: { rule: RuleView; onAsk: (openDialog: OpenDialog) => void }) {
  const manages = mayManageAlerts() && rule.editable;
  const { origin, changed } = rule;
  return (
    <div role="row" class={rule.enabled ? "" : "dimmed"}>
      <Cell>
        {manages ? (
          <button
            type="button"
            class="switch"
            role="switch"
            aria-checked={rule.enabled}
            aria-label={rule.name}
            onClick={() => void toggle(rule)}
          />
        ) : (
          <span class="pill small">{rule.enabled ? t`on` : t`off`}</span>
        )}
      </Cell>
      <Cell head>
        <span class="row wrap">
          <span class="medium anywhere">{rule.name}</span>
          {changed && <span class="pill small accent">{t`changed`}</span>}
          {rule.notice && (
            <span class="pill small" title={t`Its findings are shown and never sent.`}>
              {t`only shown`}
            </span>
          )}
          {rule.overrides.length > 0 && <span class="pill small">{plural(rule.overrides.length, "exception")}</span>}
        </span>
        <span class="t2 meta anywhere sentence">{ruleSentence(rule)}</span>
      </Cell>
      <Cell class="t3 cut">{ruleGroup(rule) === "hub" ? t`Ground Control` : selectWords(rule.select, nodeLabel)}</Cell>
      <Cell class="right row">
        {manages && (
          <MenuButton
            label={t`Actions for ${rule.name}`}
            class="quiet slim only-icon"
            groups={[
              [{ label: t`Edit…`, icon: "settings", run: () => onAsk({ kind: "edit", rule }) }],
              origin === "user"
                ? [{ label: t`Delete…`, icon: "trash-2", danger: true, run: () => onAsk({ kind: "delete", rule }) }]
                : changed
                  ? [{ label: t`Reset to the default…`, icon: "rotate-cw", run: () => onAsk({ kind: "reset", rule }) }]
                  : [],
            ]}
          >
            <Icon name="ellipsis" size="small" />
          </MenuButton>
        )}
      </Cell>
    </div>
  );
}

function RemoveDialog({ rule, onClose }: { rule: RuleView; onClose: () => void }) {
  const own = rule.origin === "user";
  return (
    <FormDialog
      title={own ? t`Delete ${rule.name}` : t`Reset ${rule.name}`}
      icon={own ? "trash-2" : "rotate-cw"}
      size="narrow"
      submit={own ? t`Delete rule` : t`Reset rule`}
      onSave={() => removeRule(rule.id)}
      done={[own ? t`${rule.name} was deleted` : t`${rule.name} has its default values again`]}
      kind={own ? "destroy" : "primary"}
      onClose={onClose}
    >
      <p>
        {own
          ? t`Its alerts end. This cannot be undone.`
          : t`Your changes of this rule are lost: thresholds, exceptions, and whether it is on.`}
      </p>
    </FormDialog>
  );
}
