/** The ordered reboots of a node: why, and the evidence that it came back as it was. */

import { useState } from "preact/hooks";
import { rebootEvidence, rebootLosses, rebootNeed, rebootVerdict } from "../../core/nodes/reboots";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { loadReboots } from "../../state/queries";
import type { RebootView } from "../../state/types";
import { Button, Failure, Glyph, type GlyphKind, Loading } from "../../ui";
import { StaleNotice } from "../../ui/stale-notice";
import { Time } from "../../ui/time";
import { useAnswer } from "../use-answer";

/** So many are shown at first: the changes come below. */
const FIRST = 3;
const GLYPHS: Record<RebootView["verdict"], GlyphKind> = {
  kept: "done",
  broken: "warn",
  not_rebooted: "fail",
  under_way: "run",
  overdue: "crit",
  unknown: "off",
};

export function NodeReboots({ id, turn }: { id: string; turn: number }) {
  const { found, failure, load } = useAnswer(() => loadReboots(id), [id, turn]);
  const [all, setAll] = useState(false);
  if (failure && !found) return <Failure title={t`The reboots could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading rows={2} what={t`the reboots`} onRetry={load} />;
  return (
    <section class="card padded stack" aria-label={t`Reboots`}>
      <h2>{t`Reboots`}</h2>
      <StaleNotice failure={failure} onRetry={load} />
      {found.reboots.length ? (
        <ul class="gates">
          {found.reboots.slice(0, all ? undefined : FIRST).map((one) => (
            <Reboot key={one.job_id} one={one} />
          ))}
        </ul>
      ) : (
        <p class="t3">{t`No reboot was ordered here. What nobody ordered stands among the changes.`}</p>
      )}
      {!all && found.reboots.length > FIRST && (
        <div>
          <Button slim onClick={() => setAll(true)}>{t`Show ${found.reboots.length - FIRST} earlier ones`}</Button>
        </div>
      )}
    </section>
  );
}

function Reboot({ one }: { one: RebootView }) {
  const rest = [rebootNeed(one), rebootEvidence(one)].filter(Boolean);
  return (
    <li>
      <Glyph kind={GLYPHS[one.verdict]} label="" />
      <div>
        <p class="anywhere">
          <a href={`/jobs/${one.job_id}`}>{rebootVerdict(one)}</a>{" "}
          <span class="t3">
            <Time at={one.ordered_at}>{timeOrDate(one.ordered_at, dayStart.value)}</Time> · {t`ordered by ${one.by}`}
          </span>
        </p>
        {rebootLosses(one.notes).map((note) => (
          <p key={note} class="anywhere">
            {note}
          </p>
        ))}
        {rest.map((text) => (
          <p key={text} class="meta t3 anywhere">
            {text}
          </p>
        ))}
      </div>
    </li>
  );
}
