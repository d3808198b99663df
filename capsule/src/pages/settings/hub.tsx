/** The hub itself: its addresses, its encryption, and its storage. */

import { age, size, t, tElements, timeOrDate } from "../../core/text";
import { dayStart, now } from "../../state/clock";
import { fleetSummary } from "../../state/fleet";
import { loadSettings } from "../../state/users";
import { CopyButton } from "../../ui/copy";
import { Failure, Loading } from "../../ui";
import { Time } from "../../ui/time";
import { RoleRefusal } from "../list-view";
import { useAnswer } from "../use-answer";

/** The hub's own rule warns of a backup that is older. */
const BACKUP_OLD_S = 48 * 3600;
const scrapeConfig = (protocol: string, host: string): string =>
  [
    "scrape_configs:",
    "  - job_name: stardust",
    ["    scheme:", protocol.replace(":", "")].join(" "),
    "    authorization: {credentials_file: /etc/prometheus/stardust.token}",
    ["    static_configs:", `[{targets:["${host}"]}]`].join(" "),
  ].join("\n");
const ADDRESSES = "stardust addresses";
const COPY = "stardust backup FOLDER";

export function HubPage() {
  const { found, failure, load } = useAnswer(loadSettings);
  if (failure?.status === 403) return <RoleRefusal what={t`Only admins can see the hub’s details.`} />;
  if (failure) return <Failure title={t`The hub’s details could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={3} what={t`the hub`} onRetry={load} />;
  const { hub } = found;
  if (!hub) return <RoleRefusal what={t`Only admins of the hub can see its details.`} />;
  const { nodes, online } = fleetSummary.value;
  return (
    <div class="settings">
      <section class="card" aria-label={t`Hub`}>
        <h2>{t`Ground Control ${hub.version}`}</h2>
        <dl class="facts">
          <dt>{t`Nodes`}</dt>
          <dd>{t`${online} of ${nodes} online`}</dd>
          <dt>{t`This page`}</dt>
          <dd class="wrap-any">
            {hub.origins.map((origin) => (
              <div key={origin}>{origin}</div>
            ))}
          </dd>
          <dt>{t`Nodes connect to`}</dt>
          <dd class="wrap-any">{hub.node_url}</dd>
          <dt>{t`Encryption`}</dt>
          <dd>{hub.secure ? t`TLS` : t`None: only its own machine can reach it`}</dd>
          {hub.secure && (
            <>
              <dt>{hub.tls_pin ? t`Public key, SHA-256` : t`Certificate`}</dt>
              <dd class={hub.tls_pin ? "mono wrap-any" : ""}>{hub.tls_pin ?? t`Signed by an authority that nodes trust`}</dd>
            </>
          )}
        </dl>
      </section>
      <section class="card" aria-label={t`Storage`}>
        <h2>{t`Storage`}</h2>
        <dl class="facts">
          <dt>{t`Databases`}</dt>
          <dd>{size(hub.database_bytes)}</dd>
          <dt>{t`Free on that disk`}</dt>
          <dd>{size(hub.free_bytes)}</dd>
          <dt>{t`Folder`}</dt>
          <dd class="mono wrap-any">{hub.data_dir}</dd>
          <dt>{t`Newest backup`}</dt>
          <dd class={hub.backup_at === null || now.value - hub.backup_at > BACKUP_OLD_S ? "warn" : ""}>
            {hub.backup_at === null ? (
              t`none is recorded`
            ) : (
              <Time at={hub.backup_at}>{t`${age(now.value - hub.backup_at)} ago, ${timeOrDate(hub.backup_at, dayStart.value)}`}</Time>
            )}
          </dd>
        </dl>
        <p class="t2">{t`Run this on the hub’s machine, while the hub runs, to write a copy that a new machine can start from:`}</p>
        <Command text={COPY} />
      </section>
      <section class="card" aria-label={t`On the hub’s machine`}>
        <h2>{t`On the hub’s machine`}</h2>
        <p class="t2">{t`Show or change where browsers and nodes reach the hub:`}</p>
        <Command text={ADDRESSES} />
      </section>
      <section class="card" aria-label={t`Checks and files`}>
        <h2>{t`Checks and files`}</h2>
        <p class="t2">
          {tElements`${<a class="accent" href="/settings/audit">{t`Audit`}</a>} checks that no row of the log was changed. ${<a class="accent" href="/alerts/rules">{t`Rules`}</a>} and ${<a class="accent" href="/rollouts/policies">{t`patch policies`}</a>} are exported and imported as files where they are listed.`}
        </p>
      </section>
      <section class="card" aria-label={t`Prometheus`}>
        <h2>{t`Prometheus`}</h2>
        <p class="t2">{t`GET /metrics has the figures of the hub and of the whole fleet. It takes an API token of a user who sees every server:`}</p>
        <Command text={scrapeConfig(location.protocol, location.host)} />
      </section>
    </div>
  );
}

function Command({ text }: { text: string }) {
  return (
    <div class="code">
      <code class="lines">{text}</code>
      <CopyButton name={t`Copy command`} text={() => text} />
    </div>
  );
}
