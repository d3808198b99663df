/** The hub itself: its addresses, its encryption, and its storage. */

import type { VNode } from "preact";
import { t } from "../../core/text/i18n";
import { size } from "../../core/text/units";
import { fleetSummary } from "../../state/fleet";
import { loadSettings } from "../../state/users";
import { CopyButton } from "../../ui/copy";
import { Failure, Loading } from "../../ui/load-states";
import { RoleRefusal } from "../list-view";
import { useAnswer } from "../use-answer";

const COPY = "stardust backup FOLDER";

export function HubPage(): VNode {
  const { found, failure, load } = useAnswer(loadSettings);
  if (failure?.status === 403) return <RoleRefusal what={t`Only admins can see the hub’s details.`} />;
  if (failure) return <Failure title={t`The hub’s details could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={3} what={t`the hub`} onRetry={load} />;
  const { hub } = found;
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
        </dl>
        <p class="t2">{t`Run this on the hub’s machine, while the hub runs, to write a copy that a new machine can start from:`}</p>
        <div class="code">
          <code>{COPY}</code>
          <CopyButton name={t`Copy command`} text={() => COPY} />
        </div>
      </section>
    </div>
  );
}
