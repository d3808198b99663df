/** The hub itself: where it is reached, and what it takes on its machine. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { size } from "../../core/units";
import { vitals } from "../../state/fleet";
import { loadSettings } from "../../state/people";
import { ApiError, type HubView } from "../../state/types";
import { CopyButton } from "../../ui/copy";
import { Failure, Loading } from "../../ui/parts";
import { Refused } from "./list";

export function HubPage(): VNode {
  const [hub, setHub] = useState<HubView | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const load = async (): Promise<void> => {
    setFailure(null);
    try {
      setHub((await loadSettings()).hub);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    }
  };
  useEffect(() => void load(), []);
  if (failure?.status === 403) return <Refused what="The hub itself is for admins." />;
  if (failure) return <Failure title="The hub could not be asked" error={failure} onRetry={() => void load()} />;
  if (!hub) return <Loading rows={3} what="the hub" onRetry={() => void load()} />;
  const { nodes, online } = vitals.value;
  return (
    <div class="settings">
      <section class="card" aria-label="Hub">
        <h2>Ground Control {hub.version}</h2>
        <dl class="facts">
          <dt>Nodes</dt>
          <dd>
            {online} of {nodes} online
          </dd>
          <dt>This page</dt>
          <dd class="wrap-any">
            {hub.origins.map((origin) => (
              <div key={origin}>{origin}</div>
            ))}
          </dd>
          <dt>Nodes dial</dt>
          <dd class="wrap-any">{hub.node_url}</dd>
          <dt>Encryption</dt>
          <dd>{hub.secure ? "TLS" : "None: it is reached within its machine only"}</dd>
          {hub.secure && (
            <>
              <dt>Certificate</dt>
              <dd class={hub.tls_pin ? "mono wrap-any" : ""}>{hub.tls_pin ?? "Signed by an authority that nodes know"}</dd>
            </>
          )}
        </dl>
      </section>
      <section class="card" aria-label="Storage">
        <h2>Storage</h2>
        <dl class="facts">
          <dt>Databases</dt>
          <dd>{size(hub.database_bytes)}</dd>
          <dt>Free on that disk</dt>
          <dd>{size(hub.free_bytes)}</dd>
          <dt>Folder</dt>
          <dd class="mono wrap-any">{hub.data_dir}</dd>
        </dl>
        <p class="t2">On its machine, this writes a copy that a new machine can be started from, while the hub runs:</p>
        <div class="code">
          <code>stardust backup FOLDER</code>
          <CopyButton name="Copy command" text={() => "stardust backup FOLDER"} />
        </div>
      </section>
    </div>
  );
}
