/** How long samples are kept, and what that takes. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { plainMark } from "../../core/legend";
import { keptFault, keptSeconds, keptText, TIER_WORDS } from "../../core/retention";
import { rich, t } from "../../core/say";
import { count, size } from "../../core/units";
import { loadSettings, patchSettings } from "../../state/people";
import { toast } from "../../state/toasts";
import { ApiError, type TierView } from "../../state/types";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";
import { Glyph } from "../../ui/glyph";
import { Banner, Failure, Loading } from "../../ui/parts";
import { Refused } from "./list";
import { Refusal, useAct } from "./refusal";

const DAY_S = 86_400;

export function HistoryPage(): VNode {
  const [tiers, setTiers] = useState<readonly TierView[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const load = async (): Promise<void> => {
    setFailure(null);
    try {
      setTiers((await loadSettings()).retention);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    }
  };
  useEffect(() => void load(), []);
  if (failure?.status === 403) return <Refused what={t`How long samples are kept is for admins.`} />;
  if (failure) return <Failure title={t`The settings could not be read`} error={failure} onRetry={() => void load()} />;
  if (!tiers) return <Loading rows={3} what={t`the settings`} onRetry={() => void load()} />;
  return <Form key={tiers.map(({ kept_s }) => kept_s).join()} tiers={tiers} onSaved={setTiers} />;
}

/** What the tier takes once it is full, kept for so long. */
const bytesFor = (tier: TierView, seconds: number): number => (tier.bytes_per_value * tier.values_per_day * seconds) / DAY_S;

function Form({ tiers, onSaved }: { tiers: readonly TierView[]; onSaved: (tiers: readonly TierView[]) => void }): VNode {
  const [texts, setTexts] = useState<readonly string[]>(() => tiers.map(({ kept_s }) => keptText(kept_s)));
  const act = useAct();
  const faults = texts.map((text, index) => keptFault(text, texts[index - 1]));
  const wanted = texts.map((text, index) => keptSeconds(text) ?? tiers[index]?.kept_s ?? 0);
  const changed = tiers.some(({ kept_s }, index) => wanted[index] !== kept_s);
  const shorter = tiers.filter(({ kept_s }, index) => (wanted[index] ?? 0) < kept_s);
  const valid = faults.every((fault) => fault === "");
  const total = tiers.reduce((sum, tier, index) => sum + bytesFor(tier, wanted[index] ?? 0), 0);
  const save = (): void =>
    void act.run(async () => {
      const [seconds_s = 0, minutes_s = 0, hours_s = 0] = wanted;
      onSaved((await patchSettings({ retention: { seconds_s, minutes_s, hours_s } })).retention);
      toast("done", t`Saved`, t`How long samples are kept was changed.`);
    });
  return (
    <div class="settings">
      <section class="card" aria-label={t`History`}>
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            if (changed && valid) save();
          }}
        >
          <h2>{t`How long samples are kept`}</h2>
          <p class="t2">{t`Charts take the finest that reaches far enough back. Coarser ones keep the least, the mean and the greatest value.`}</p>
          <Refusal text={act.refusal} />
          {tiers.map((tier, index) => (
            <TextField
              key={tier.tier}
              label={TIER_WORDS[tier.tier]}
              value={texts[index] ?? ""}
              wrong={faults[index] ?? ""}
              hint={t`About ${size(bytesFor(tier, wanted[index] ?? 0))} when full: ${count(tier.values_per_day)} values a day, ${plainMark(tier.bytes_per_value)} bytes each${tier.measured ? ` ${t`as stored here of late`}` : `, ${t`as measured elsewhere: nothing is stored here yet`}`}.`}
              onText={(text) => setTexts(texts.map((one, at) => (at === index ? text : one)))}
              input={{ autocomplete: "off", spellcheck: false, maxLength: 12 }}
            />
          ))}
          <p>
            {rich`Together about ${<b class="strong num">{size(total)}</b>}`}
          </p>
          {valid && shorter.length > 0 && (
            <Banner mark={<Glyph kind="warn" label="" />}>
              <b>{t`Older samples are deleted.`}</b> <span class="plain">{t`${shorter.map((tier) => t`${TIER_WORDS[tier.tier]}: what is older than ${texts[tiers.indexOf(tier)] ?? ""}`).join("; ")}. They cannot be brought back.`}</span>
            </Banner>
          )}
          <div>
            <Button kind={shorter.length ? "destroy" : "primary"} type="submit" busy={act.busy} disabled={!changed || !valid}>
              {shorter.length ? t`Save and delete older samples` : t`Save`}
            </Button>
          </div>
        </form>
      </section>
    </div>
  );
}
