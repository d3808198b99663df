/** The installed packages of a node, by name. */

import { useEffect, useState } from "preact/hooks";
import type { Page } from "../../core/live/paged-list";
import { count, plural, t, tElements, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import type { NodeDetail } from "../../state/node-detail";
import type { InstalledPackageView } from "../../state/types";
import { Empty, Failure, Loading, TextField } from "../../ui";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { Time } from "../../ui/time";
import { FactsTable } from "../../ui/facts-table";
import { usePaged } from "../use-paged";

const SETTLE_MS = 250;

interface Found extends Page<InstalledPackageView> {
  total: number;
  /** When the node read its packages, in Unix seconds; null = never. */
  at: number | null;
}

export function Packages({ detail }: { detail: NodeDetail }) {
  const [search, setSearch] = useState("");
  const [needle, setNeedle] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setNeedle(search.trim()), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [search]);
  const { list, found, failure } = usePaged<InstalledPackageView, Found>(
    async (cursor) => {
      const page = await detail.packages(needle, cursor);
      return { items: page.packages, next: page.next, total: page.total, at: page.taken_at };
    },
    (item) => item.name,
    [detail.id, needle],
  );
  const load = (): void => void list.refresh();
  // This time changes when the node reports other packages.
  const version = detail.view.value?.updates.checked_at;
  useEffect(load, [list, version]);
  if (found?.at === null)
    return (
      <Empty
        icon="package"
        title={t`No packages reported yet`}
        text={t`The agent reads the package database when it connects, and again when it changes.`}
      />
    );
  return (
    <section class="card" aria-label={t`Installed packages`}>
      <header>
        <h3>{t`Installed`}</h3>
        {found && (
          <span class="t3 meta">
            {tElements`${plural(found.total, "package")}, last change ${<Time at={found.at}>{timeOrDate(found.at, dayStart.value)}</Time>}`}
          </span>
        )}
      </header>
      <TextField
        class="facts-search"
        label={t`Search in packages`}
        value={search}
        onText={setSearch}
        type="search"
        code
        input={{ placeholder: t`Search by name` }}
      />
      {found ? (
        <>
          <StaleNotice failure={failure} onRetry={load} />
          <Rows items={found.items} />
          <ShowMore
            class="pad"
            more={found.next !== null}
            onMore={() => void list.more()}
          >{t`Show more of ${count(found.total)}`}</ShowMore>
        </>
      ) : failure ? (
        <Failure title={t`The packages could not be read`} error={failure} onRetry={load} />
      ) : (
        <Loading what={t`the packages`} onRetry={load} />
      )}
    </section>
  );
}

function Rows({ items }: { items: readonly InstalledPackageView[] }) {
  if (!items.length) return <p class="pad t3">{t`No package name contains that.`}</p>;
  return (
    <FactsTable label={t`Packages, table`} heads={[t`Package`, t`Version`]}>
      {items.map((item) => (
        <tr key={item.name}>
          <td>{item.name}</td>
          <td>{item.version}</td>
        </tr>
      ))}
    </FactsTable>
  );
}
