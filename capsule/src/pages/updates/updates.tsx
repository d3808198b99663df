import { listSome } from "../../core/jobs/batch";
import { listsAreOld } from "../../core/nodes/node-status";
import { plural, t } from "../../core/text";
import { showDialog } from "../../state/dialogs";
import { rows, fleetSummary } from "../../state/fleet";
import { pageUrl, setQuery } from "../../state/router";
import { mayAct } from "../../state/session";
import { Banner, Button, Glyph, Icon, SearchField, Segmented } from "../../ui";
import { ineligibleReason, ineligibleReasons } from "../../core/jobs/eligibility";
import { PatchingTabs } from "../rollouts/patching-tabs";
import { ByNode, matchingRows } from "./by-node";
import { ByPackage } from "./by-package";

/** The page of the fleet's available updates, by package or by node, with actions to install them. */
export function UpdatesPage() {
  const { query } = pageUrl.value;
  const by = query.get("by") === "node" ? "node" : "package";
  const search = query.get("q") ?? "";
  const security = query.get("security") === "1";
  const label = by === "node" ? t`Search nodes` : t`Search packages`;
  const v = fleetSummary.value;
  const matching = matchingRows(rows.value, by === "node" ? search : "", security);
  /** Whether packages are searched: the action above the list is then for more packages than the list shows. */
  const beyond = by === "package" && search.trim() !== "";
  const old = rows.value.filter(({ node }) => listsAreOld(node));
  const readable = old.filter(({ node }) => !ineligibleReason(node, "refresh"));
  const due = rows.value.filter(({ node }) => node.reboot_required === "yes");
  const bootable = due.filter(({ node }) => !ineligibleReason(node, "reboot"));
  const action = security ? "security-upgrade" : "upgrade";
  const able = matching.filter(({ node }) => !ineligibleReason(node, action));
  const reasons = ineligibleReasons(
    matching.map(({ node }) => node),
    action,
  );
  return (
    <div class="page">
      <div class="page-head wrap">
        <div class="grow">
          <h1 tabIndex={-1}>{t`Updates`}</h1>
          <p class="meta t3">
            {v.updatesKnown
              ? t`${plural(v.updates, "update")} on ${plural(v.updateNodes, "node")}` +
                (v.security ? ` · ${t`${v.security} for security on ${v.securityNodes}`}` : "")
              : t`No node has reported its updates yet.`}
          </p>
        </div>
        {mayAct.value && able.length > 1 && !beyond && (
          <Button
            onClick={() => showDialog({ kind: "rollout", nodes: able.map(({ node }) => node.id), action })}
          >{t`Roll out in waves…`}</Button>
        )}
        {mayAct.value && able.length > 0 && (
          <Button
            kind="primary"
            icon={security ? "shield" : "package"}
            onClick={() => showDialog({ kind: "bulk-job", nodes: able.map(({ node }) => node.id), action })}
          >
            {beyond
              ? security
                ? t`All security upgrades on ${plural(able.length, "node")}…`
                : t`Upgrade all packages on ${plural(able.length, "node")}…`
              : security
                ? t`Security upgrade on ${plural(able.length, "node")}…`
                : t`Upgrade on ${plural(able.length, "node")}…`}
          </Button>
        )}
      </div>
      <PatchingTabs tab="updates" />
      <div id="panel" role="tabpanel" class="stack" aria-label={t`Updates`}>
        {due.length > 0 && (
          <Banner
            kind="info"
            mark={<Glyph kind="notice" label="" />}
            action={
              <>
                <a class="button slim" href="/?q=reboot:yes">
                  {t`Show`}
                </a>
                {mayAct.value && bootable.length > 0 && (
                  <Button
                    slim
                    icon="rotate-cw"
                    onClick={() => showDialog({ kind: "bulk-job", nodes: bootable.map(({ node }) => node.id), action: "reboot" })}
                  >{t`Reboot ${bootable.length}…`}</Button>
                )}
              </>
            }
          >
            <b>{t`${plural(due.length, "server needs", "servers need")} a reboot.`}</b>
          </Banner>
        )}
        {old.length > 0 && (
          <Banner
            mark={<Glyph kind="warn" label="" />}
            action={
              mayAct.value &&
              readable.length > 0 && (
                <Button
                  slim
                  onClick={() => showDialog({ kind: "bulk-job", nodes: readable.map(({ node }) => node.id), action: "refresh" })}
                >
                  {t`Refresh on ${plural(readable.length, "node")}…`}
                </Button>
              )
            }
          >
            <b>{t`Old or missing package lists on ${plural(old.length, "node")}.`}</b>{" "}
            <span class="plain">{t`Updates published since then are not counted there: ${listSome(
              old.map(({ node }) => node.name),
              5,
            )}.`}</span>
          </Banner>
        )}
        {!mayAct.value && <p class="t3">{t`Your role can view updates; only operators and admins can install them.`}</p>}
        <div class="tools wrap">
          <SearchField label={label} placeholder={label} text={search} onText={(next) => setQuery({ q: next.trim() ? next : null })} />
          <button type="button" class="chip" aria-pressed={security} onClick={() => setQuery({ security: security ? null : "1" })}>
            <Icon name="shield" size="small" />
            {t`Security only`}
          </button>
          <span class="grow" />
          <Segmented
            label={t`Group by`}
            value={by}
            onPick={(next) => setQuery({ by: next === "node" ? "node" : null })}
            options={[
              { key: "package", label: t`By package` },
              { key: "node", label: t`By node` },
            ]}
          />
        </div>
        {reasons.length > 0 && <p class="t2">{reasons.map(([why, many]) => `${plural(many, "node")}: ${why}`).join(" · ")}</p>}
        {by === "node" ? (
          <ByNode search={search} security={security} old={old.length > 0} />
        ) : (
          <ByPackage search={search} security={security} old={old.length > 0} />
        )}
      </div>
    </div>
  );
}
