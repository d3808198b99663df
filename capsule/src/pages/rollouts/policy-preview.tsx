import type { VNode } from "preact";
import { beginWords, ZONE_OF_NODE, zoneWords } from "../../core/rollouts/rollout-text";
import { date, plural, shortDuration, t } from "../../core/text";
import { dayStart } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import type { PatchPreviewView } from "../../state/types";
import { Glyph } from "../../ui";
import { CodeWords } from "../../ui/code-words";

/** So many rows of a list; the rest is a number. */
const MOST = 8;

interface Props {
  preview: PatchPreviewView;
  zone: string;
  /** Whether the fields have changed since, to something that the hub refuses. */
  stale: boolean;
}

/** The reason with what helps -> the servers that it holds: many are often held for one reason. */
function heldByReason(held: PatchPreviewView["held"]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { node_id, words, remedy } of held) {
    const why = remedy ? t`${words}. What helps: ${remedy}.` : words;
    found.set(why, [...(found.get(why) ?? []), node_id]);
  }
  return found;
}

export function PolicyPreview({ preview, zone, stale }: Props): VNode {
  const { nodes, packages, waiting_for_age: waiting, held, next, warnings, waves } = preview;
  const reasons = [...heldByReason(held)];
  const kept = [...new Set(nodes.map(({ kept_back }) => kept_back))].filter(Boolean);
  const more = (all: number): VNode | null => (all > MOST ? <li class="t3">{t`and ${all - MOST} more`}</li> : null);
  return (
    <div class={stale ? "stack dimmed" : "stack"}>
      {warnings.map(({ code, words }) => (
        <p key={code} class="row">
          <Glyph kind="warn" label="" /> <span class="anywhere">{words}</span>
        </p>
      ))}
      <div>
        <p class="label">{t`Next dates`}</p>
        {next.length ? (
          <ol class="plain-list">
            {next.map((one) => (
              <li key={one.due_at}>
                {one.zone === ZONE_OF_NODE ? one.local : t`${beginWords(one.due_at, one.local, one.zone, dayStart.value)} here`}
                <span class="t3">
                  {" "}
                  {one.zone === ZONE_OF_NODE ? t`in ${zoneWords(one.zone)}` : t`${one.local} in ${zoneWords(one.zone)}`}
                  {one.shifted === "skipped" && ` · ${t`this time is skipped by the clock change: it runs once, right after`}`}
                  {one.shifted === "repeated" && ` · ${t`this time comes twice: it runs once`}`}
                </span>
              </li>
            ))}
          </ol>
        ) : (
          <p class="wrong">{t`It would never run, in ${zoneWords(zone)}.`}</p>
        )}
      </div>
      <p>
        <b>{t`${plural(packages.length, "package")} on ${plural(nodes.filter(({ take }) => take > 0).length, "server")}, as of today`}</b>
        {waves.length > 0 && <span class="t3"> {t`in waves of ${waves.join(", ")}, about ${shortDuration(preview.expected_s)}`}</span>}
      </p>
      {packages.length > 0 && (
        <ul class="plain-list mono">
          {packages.slice(0, MOST).map((one) => (
            <li key={`${one.package} ${one.version}`} class="anywhere">
              {one.security ? "◆ " : ""}
              {one.package} {one.version} <span class="t3">×{one.nodes}</span>
            </li>
          ))}
          {more(packages.length)}
        </ul>
      )}
      {waiting.length > 0 && (
        <div>
          <p class="label">{t`Wait for their age`}</p>
          <ul class="plain-list">
            {waiting.slice(0, MOST).map((one) => (
              <li key={`${one.package} ${one.version}`} class="anywhere">
                <span class="mono">
                  {one.package} {one.version}
                </span>{" "}
                <span class="t3">
                  {one.superseded ? t`never old enough: each version is replaced before` : t`until ${date(one.ripe_at, dayStart.value)}`}
                </span>
              </li>
            ))}
            {more(waiting.length)}
          </ul>
        </div>
      )}
      {kept.length > 0 && (
        <div>
          <p class="label">{t`Not taken by the servers themselves`}</p>
          <ul class="plain-list">
            {kept.slice(0, MOST).map((words) => (
              <li key={words} class="anywhere t3">
                {words}
              </li>
            ))}
            {more(kept.length)}
          </ul>
        </div>
      )}
      {held.length > 0 && (
        <div>
          <p class="label">{t`${plural(held.length, "server")} held`}</p>
          <ul class="plain-list">
            {reasons.slice(0, MOST).map(([why, ids]) => (
              <li key={why} class="anywhere">
                {ids.slice(0, MOST).map((id) => (
                  <a key={id} href={`/n/${id}`}>
                    {nodeLabel(id)}{" "}
                  </a>
                ))}
                {ids.length > MOST && t`and ${ids.length - MOST} more`}{" "}
                <span class="t3">
                  <CodeWords text={why} />
                </span>
              </li>
            ))}
            {more(reasons.length)}
          </ul>
        </div>
      )}
    </div>
  );
}
