/** The settings of how long samples are stored, and the space that they need. */

import { useState } from "preact/hooks";
import { axisMark } from "../../core/charts/value-format";
import {
  bytesWhenFull,
  retentionError,
  parseRetention,
  retentionText,
  lossName,
  lossText,
  shortenedTiers,
  TIER_LABELS,
  type Tier,
} from "../../core/metrics/retention";
import { count, size, t, tElements } from "../../core/text";
import { now } from "../../state/clock";
import { loadSettings, patchSettings } from "../../state/users";
import { toast } from "../../state/toasts";
import type { TierView } from "../../state/types";
import { Banner, Button, Failure, Form, Glyph, Loading, TextField } from "../../ui";
import { RoleRefusal } from "../list-view";
import { ActionError, useAction } from "../use-action";
import { useAnswer } from "../use-answer";
import { Typed } from "./user-dialogs";

type Wanted = Readonly<Partial<Record<Tier, number>>>;

export function HistoryPage() {
  const { found: tiers, failure, load, set } = useAnswer<readonly TierView[]>(async () => (await loadSettings()).retention);
  if (failure?.status === 403) return <RoleRefusal what={t`Only admins can see how long samples are kept.`} />;
  if (failure) return <Failure title={t`The settings could not be read`} error={failure} onRetry={load} />;
  if (!tiers) return <Loading rows={3} what={t`the settings`} onRetry={load} />;
  return <Retention key={tiers.map(({ kept_s }) => kept_s).join()} tiers={tiers} onSaved={set} />;
}

/** Saves only the values that this user changed, because another user may have changed the others. */
async function write({ "1s": seconds_s, "1m": minutes_s, "1h": hours_s }: Wanted): Promise<readonly TierView[]> {
  const body = { ...(seconds_s ? { seconds_s } : {}), ...(minutes_s ? { minutes_s } : {}), ...(hours_s ? { hours_s } : {}) };
  const { retention } = await patchSettings({ retention: body });
  toast("done", t`Saved`, t`How long samples are kept was changed.`);
  return retention;
}

function Retention({ tiers, onSaved }: { tiers: readonly TierView[]; onSaved: (tiers: readonly TierView[]) => void }) {
  const [texts, setTexts] = useState<readonly string[]>(() => tiers.map(({ kept_s }) => retentionText(kept_s)));
  /** The losses that the user must confirm. */
  const [asking, setAsking] = useState<{ going: readonly TierView[]; wanted: Wanted; at: number } | null>(null);
  const act = useAction();
  const faults = texts.map((text, index) => retentionError(text, texts[index - 1]));
  const seconds = texts.map((text, index) => parseRetention(text) ?? tiers[index]?.kept_s ?? 0);
  const wanted: Wanted = Object.fromEntries(
    tiers.flatMap(({ tier, kept_s }, index) => (seconds[index] === kept_s ? [] : [[tier, seconds[index]]])),
  );
  const changed = Object.keys(wanted).length > 0;
  const shorter = shortenedTiers(tiers, wanted);
  const valid = faults.every((fault) => fault === "");
  const total = tiers.reduce((sum, tier, index) => sum + bytesWhenFull(tier, seconds[index] ?? 0), 0);
  const save = (): void =>
    void act.run(async () => {
      // Compares with the values of the hub now: if another user has changed one, a longer time may have become a shorter one.
      const going = shortenedTiers((await loadSettings()).retention, wanted);
      if (going.length) setAsking({ going, wanted, at: now.peek() });
      else onSaved(await write(wanted));
    });
  return (
    <div class="settings">
      <section class="card" aria-label={t`Retention`}>
        <Form class="stack" onSubmit={() => void (changed && valid && save())}>
          <h2>{t`How long samples are kept`}</h2>
          <p class="t2">{t`Charts use the finest samples that reach back far enough. Coarser samples keep the minimum, mean and maximum.`}</p>
          <ActionError text={act.refusal} />
          {tiers.map((tier, index) => (
            <TextField
              key={tier.tier}
              label={TIER_LABELS[tier.tier]}
              value={texts[index] ?? ""}
              wrong={faults[index] ?? ""}
              hint={t`About ${size(bytesWhenFull(tier, seconds[index] ?? 0))} when full: ${count(tier.values_per_day)} values a day, ${axisMark(tier.bytes_per_value)} bytes each${tier.measured ? "" : ` (${t`estimate; improves as data arrives`})`}.`}
              onText={(text) => setTexts(texts.map((one, at) => (at === index ? text : one)))}
              code
              input={{ maxLength: 12 }}
            />
          ))}
          <p>{tElements`About ${<b class="strong num">{size(total)}</b>} in total`}</p>
          {valid && shorter.length > 0 && (
            <Banner mark={<Glyph kind="warn" label="" />}>
              <b>{t`Older samples are deleted.`}</b>{" "}
              <span class="plain">{t`${shorter.map((tier) => t`${TIER_LABELS[tier.tier]}: older than ${texts[tiers.indexOf(tier)] ?? ""}`).join("; ")}. They cannot be restored.`}</span>
            </Banner>
          )}
          <div>
            <Button kind={shorter.length ? "danger" : "primary"} type="submit" busy={act.busy} disabled={!changed || !valid}>
              {shorter.length ? t`Save and delete older samples…` : t`Save`}
            </Button>
          </div>
        </Form>
      </section>
      {asking && (
        <Typed
          name={lossName(asking.going)}
          title={t`Delete older samples`}
          text={[
            ...asking.going.map((tier) => lossText(tier, asking.wanted[tier.tier] ?? tier.kept_s, asking.at)),
            t`This applies to every node and cannot be undone.`,
          ].join(" ")}
          button={t`Save and delete older samples`}
          onClose={() => setAsking(null)}
          act={async () => {
            const kept = await write(asking.wanted);
            setAsking(null);
            onSaved(kept);
          }}
        />
      )}
    </div>
  );
}
