/** What is installed on a node, by name. */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { rich, t } from "../../core/say";
import { moment } from "../../core/time";
import { count, plural } from "../../core/units";
import type { NodeDetail } from "../../state/node";
import { today } from "../../state/today";
import { ApiError, type InstalledPackageView } from "../../state/types";
import { TextField } from "../../ui/field";
import { Empty, Failure, Loading, Time } from "../../ui/parts";
import { ShowMore } from "../../ui/show-more";

const SETTLE_MS = 250;

interface Found {
  items: readonly InstalledPackageView[];
  total: number;
  at: number | null;
  next: string | null;
}

export function Packages({ detail }: { detail: NodeDetail }): VNode | null {
  const [search, setSearch] = useState("");
  const [found, setFound] = useState<Found | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const asked = useRef(0);
  const load = async (cursor?: string): Promise<void> => {
    const mine = ++asked.current;
    try {
      const page = await detail.packages(search.trim(), cursor);
      if (mine !== asked.current) return;
      setFound((before) => ({ items: cursor ? [...(before?.items ?? []), ...page.packages] : page.packages, total: page.total, at: page.taken_at, next: page.next }));
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === asked.current) setFailure(error);
    }
  };
  // The node's version grows when it tells of other packages.
  const version = detail.view.value?.updates.checked_at;
  useEffect(() => {
    const timer = setTimeout(() => void load(), found ? SETTLE_MS : 0);
    return () => clearTimeout(timer);
  }, [detail, search, version]);
  if (failure) return <Failure title={t`The packages could not be read`} error={failure} onRetry={() => void load()} />;
  if (!found) return <Loading what={t`the packages`} onRetry={() => void load()} />;
  if (found.at === null) return <Empty icon="package" title={t`No packages told yet`} text={t`Spider reads the package database when it connects, and again when it changes.`} />;
  return (
    <section class="card" aria-label={t`Installed packages`}>
      <header>
        <h3>{t`Installed`}</h3>
        <span class="t3 meta">
          {rich`${plural(found.total, "package")}, last change ${<Time at={found.at}>{moment(found.at, today.value)}</Time>}`}
        </span>
      </header>
      <TextField class="facts-search" label={t`Search in packages`} value={search} onText={setSearch} type="search" input={{ placeholder: t`Search by name`, spellcheck: false }} />
      {!found.items.length ? (
        <p class="pad t3">{t`No package has a name with that in it.`}</p>
      ) : (
        <div class="facts-scroll" role="region" aria-label={t`Packages, table`} tabIndex={0}>
          <table class="facts-table">
            <thead>
              <tr>
                <th scope="col">{t`Package`}</th>
                <th scope="col">{t`Version`}</th>
              </tr>
            </thead>
            <tbody>
              {found.items.map((item) => (
                <tr key={item.name}>
                  <td>{item.name}</td>
                  <td>{item.version}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <ShowMore class="pad" more={found.next !== null} onMore={() => void load(found.next ?? undefined)}>{t`Show more of ${count(found.total)}`}</ShowMore>
    </section>
  );
}
