import { t, tElements } from "../../core/text";
import { mayAct } from "../../state/session";
import { CopyButton } from "../../ui/copy";

/** The names that the hub takes for events. */
const NAME = /^[a-z0-9_.-]{1,64}$/;

/** How a server reports the event: its owner admits the account, and the job calls the agent at its end. */
export function HowToReport({ event: typed = "", open = typed === "" }: { event?: string; open?: boolean }) {
  const event = NAME.test(typed) ? typed : "backup_completed";
  const line = ["sudo", "/opt/stardust/stardust-spider", "event", event].join(" ");
  const policy = "events = backup";
  return (
    <details class="options deadline-how" open={open}>
      <summary>{t`How a server reports “${event}”`}</summary>
      <p class="t2">{t`At the end of the job, as root:`}</p>
      <div class="row">
        <code class="mono grow anywhere">{line}</code>
        <CopyButton text={() => line} />
      </div>
      <p class="t2">{t`As another account, such as backup: without sudo, after its name stands in /etc/stardust/policy.conf:`}</p>
      <div class="row">
        <code class="mono grow anywhere">{policy}</code>
        <CopyButton text={() => policy} />
      </div>
      {mayAct.value && (
        <p class="t2">
          {tElements`${(
            <a class="accent" href="/settings/policies">
              {t`Settings, Policies`}
            </a>
          )} writes this line on many servers at once, after showing each difference.`}
        </p>
      )}
    </details>
  );
}
