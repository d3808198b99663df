import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/say";
import { ACTION_WORDS } from "../../core/words";
import { jobs as known, newest } from "../../state/jobs";
import { findJobs } from "../../state/lists";
import { place, setQuery } from "../../state/router";
import { user } from "../../state/session";
import { ApiError, type JobView } from "../../state/types";
import { Button } from "../../ui/button";
import { FilterChips } from "../../ui/filter-chips";
import { Glyph } from "../../ui/glyph";
import { Banner, Empty, Failure, Loading } from "../../ui/parts";
import { JobsTable } from "./table";

const STATES: Readonly<Record<string, string>> = {
  open: "queued,dispatched,accepted,running",
  done: "succeeded",
  failed: "failed,interrupted,unknown",
  other: "cancelled,expired",
};
const CHIPS = [
  { key: "open", label: t`Not ended`, mark: <Glyph kind="run" label="" /> },
  { key: "done", label: t`Succeeded`, mark: <Glyph kind="done" label="" /> },
  { key: "failed", label: t`To look at`, mark: <Glyph kind="fail" label="" /> },
  { key: "other", label: t`Cancelled or expired`, mark: <Glyph kind="off" label="" /> },
];

interface Found {
  /** What was asked for. */
  asked: string;
  jobs: readonly JobView[];
  next: string | null;
}

export function JobsPage(): VNode {
  const { query } = place.value;
  const state = query.get("state") ?? "";
  const action = query.get("action") ?? "";
  const mine = query.get("by") === "me";
  const asked = `${state}|${action}|${mine}`;
  const [found, setFound] = useState<Found | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const turn = useRef(0);
  const load = async (cursor?: string): Promise<void> => {
    const now = ++turn.current;
    try {
      const page = await findJobs({ state: STATES[state], action: action in ACTION_WORDS ? action : undefined, by: mine ? user.peek()?.username : undefined }, cursor);
      if (now !== turn.current) return;
      setFound((before) => ({ asked, jobs: cursor && before?.asked === asked ? [...before.jobs, ...page.jobs] : page.jobs, next: page.next }));
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (now === turn.current) setFailure(error);
    }
  };
  // The newest jobs are read again by each event about one: then this list is, too.
  const heard = known.value.map((job) => `${job.id}${job.state}`).join();
  useEffect(() => void load(), [asked, heard]);
  const filtered = state !== "" || action !== "" || mine;
  return (
    <div class="page">
      <div class="page-head">
        <h1 tabIndex={-1}>{t`Jobs`}</h1>
      </div>
      <div class="tools wrap">
        <FilterChips label={t`State`} chips={CHIPS} value={state} onPick={(next) => setQuery({ state: next })} />
        <FilterChips label={t`Who`} chips={[{ key: "me", label: t`Mine` }]} value={mine ? "me" : ""} onPick={(next) => setQuery({ by: next })} />
        <select class="input short" aria-label={t`Action`} value={action} onChange={(event) => setQuery({ action: event.currentTarget.value })}>
          <option value="">{t`Every action`}</option>
          {Object.entries(ACTION_WORDS).map(([key, words]) => (
            <option key={key} value={key}>
              {words}
            </option>
          ))}
        </select>
      </div>
      {failure && found && (
        <Banner mark={<Glyph kind="stale" label="" />} action={<Button slim onClick={() => void load()}>{t`Try again`}</Button>}>
          <b>{t`What is shown may be old.`}</b> <span class="plain">{failure.detail}</span>
        </Banner>
      )}
      {failure && !found ? (
        <Failure title={t`The jobs could not be read`} error={failure} onRetry={() => void load()} />
      ) : !found ? (
        <Loading rows={8} what={t`the jobs`} onRetry={() => void load()} />
      ) : !found.jobs.length ? (
        filtered ? (
          <Empty icon="filter" title={t`No job matches`} text={t`None of this kind is kept here.`}>
            <Button onClick={() => setQuery({ state: null, action: null, by: null })}>{t`Show all jobs`}</Button>
          </Empty>
        ) : (
          <Empty icon="list-checks" title={t`No jobs yet`} text={t`Start a check or an upgrade from a node’s page. Each job keeps its whole output here.`} />
        )
      ) : (
        <>
          <JobsTable jobs={found.jobs.map(newest)} />
          {found.next && (
            <div>
              <Button onClick={() => void load(found.next ?? undefined)}>{t`Show more`}</Button>
            </div>
          )}
        </>
      )}
    </div>
  );
}
