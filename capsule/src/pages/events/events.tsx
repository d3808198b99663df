import { useState } from "preact/hooks";
import { eventsCsv, eventSearch, MAX_SEARCH_LENGTH, parseEventQuery } from "../../core/events/event-text";
import { EVENT_GROUPS } from "../../core/events/event-types.gen";
import { parseDays, spanOf } from "../../core/text/day-range";
import { count, t } from "../../core/text";
import { nodeName } from "../../state/fleet";
import { allEvents, type EventsQuery } from "../../state/queries";
import { pageUrl, setQuery } from "../../state/router";
import { toast } from "../../state/toasts";
import { ApiError } from "../../state/types";
import { Button, Glyph } from "../../ui";
import { FilterChips } from "../../ui/filter-chips";
import { downloadText } from "../../ui/download";
import { DateRange } from "../date-range";
import { useSettledText } from "../use-settled-text";
import { EventList } from "./list";

const CHIPS = [
  { key: "error", label: t`Errors`, mark: <Glyph kind="fail" label="" /> },
  { key: "warning", label: t`Warnings`, mark: <Glyph kind="warn" label="" /> },
  { key: "info", label: t`Other`, mark: <Glyph kind="done" label="" /> },
];

const WINDOWS = [{ key: "shown", label: t`Maintenance of jobs` }];

async function save(kind: "csv" | "json", only: EventsQuery): Promise<void> {
  const { events, whole } = await allEvents({ ...only, search: only.search && eventSearch(only.search) });
  const text = kind === "json" ? `${JSON.stringify(events, null, 1)}\n` : eventsCsv(events, nodeName);
  downloadText(text, `stardust-events.${kind}`, kind === "csv" ? "text/csv" : "application/json");
  if (!whole)
    toast(
      "fail",
      t`Not all events are in the file`,
      t`It has only the newest ${count(events.length)}. Narrow the filter, or read the rest through the API.`,
    );
}

export function EventsPage() {
  const { severity, type, group, search } = parseEventQuery((name) => pageUrl.value.query.get(name));
  const windows = pageUrl.value.query.get("windows") === "shown" ? "shown" : "";
  const days = parseDays((name) => pageUrl.value.query.get(name));
  const [typed, setTyped] = useSettledText(search, (text) => setQuery({ q: text }));
  const [busy, setBusy] = useState(false);
  const only: EventsQuery = {
    severity: severity || undefined,
    type: type || undefined,
    group: group || undefined,
    search: search || undefined,
    ...spanOf(days),
  };
  const download = async (kind: "csv" | "json"): Promise<void> => {
    setBusy(true);
    try {
      await save(kind, only);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", t`The events could not be read`, error.detail, { label: t`Retry`, run: () => void download(kind) });
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="page">
      <div class="page-head">
        <h1 class="grow" tabIndex={-1}>
          {t`Events`}
        </h1>
        <Button icon="download" busy={busy} onClick={() => void download("csv")}>
          {t`CSV`}
        </Button>
        <Button icon="download" busy={busy} onClick={() => void download("json")}>
          {t`JSON`}
        </Button>
      </div>
      <div class="tools wrap">
        <div class="search grow" role="search">
          <input
            type="search"
            aria-label={t`Search events`}
            placeholder={t`Search in messages`}
            value={typed}
            maxLength={MAX_SEARCH_LENGTH}
            data-shortcut="/"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <kbd class="only-desk">/</kbd>
        </div>
        <FilterChips label={t`Severity`} chips={CHIPS} value={severity} onPick={(next) => setQuery({ severity: next })} />
        <FilterChips label={t`About`} chips={EVENT_GROUPS} value={group} onPick={(next) => setQuery({ group: next, type: null })} />
        <FilterChips label={t`Also`} chips={WINDOWS} value={windows} onPick={(next) => setQuery({ windows: next })} />
        <DateRange {...days} />
      </div>
      <EventList
        only={only}
        withoutOwnWindows={windows === ""}
        onClear={() => setQuery({ severity: null, type: null, group: null, q: null, windows: null, from: null, to: null })}
      />
    </div>
  );
}
