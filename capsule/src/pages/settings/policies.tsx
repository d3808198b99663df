/** What the owner of each server allows, read from their policies. Only the servers themselves can change them. */

import { useState } from "preact/hooks";
import { listSome } from "../../core/jobs/batch";
import { nameCollator } from "../../core/nodes/node-groups";
import { policySummary } from "../../core/nodes/policies";
import { t } from "../../core/text";
import { showDialog } from "../../state/dialogs";
import { rows } from "../../state/fleet";
import { mayAct } from "../../state/session";
import type { NodeView } from "../../state/types";
import { Button, Empty, SearchField } from "../../ui";
import { ShowMore } from "../../ui/show-more";

const SHOWN = 100;
const NAMED = 8;
const JOURNALS: Readonly<Record<string, string>> = { off: t`off`, warning: t`warnings`, all: t`all lines` };

const namesOf = (nodes: readonly NodeView[]): string =>
  listSome(
    nodes.map(({ name }) => name),
    NAMED,
  );

export function PoliciesPage() {
  const [text, setText] = useState("");
  const [most, setMost] = useState(SHOWN);
  const nodes = rows.value.map(({ node }) => node).sort((a, b) => nameCollator.compare(a.name, b.name));
  const shown = nodes.filter(({ name, tags }) => [name, ...tags].some((one) => one.toLowerCase().includes(text.trim().toLowerCase())));
  const isReal = ({ simulated, waiting }: NodeView): boolean => !simulated && !waiting;
  const changeable = shown.filter(isReal);
  const left = shown.filter((node) => !isReal(node));
  return (
    <div class="stack">
      <div class="section-head">
        <div class="grow">
          <h2>{t`Policies`}</h2>
          <p class="t3 meta">{t`Each server’s owner decides in policy.conf what Stardust may do there. Deploy again changes it with credentials that are typed in that request, after the difference was shown.`}</p>
        </div>
        {mayAct.value && changeable.length > 0 && (
          <Button onClick={() => showDialog({ kind: "redeploy-many", nodes: changeable.map(({ id }) => id), widening: true })}>
            {changeable.length === nodes.length
              ? t`Change all…`
              : changeable.length === 1
                ? t`Change the policy of ${changeable[0]?.name ?? ""}…`
                : t`Change these ${changeable.length} policies…`}
          </Button>
        )}
      </div>
      {!nodes.length ? (
        <Empty icon="lock" title={t`No servers`} text={t`A server’s policy is listed here once it has connected.`} />
      ) : (
        <>
          <p class="strong">{policySummary(nodes.map(({ policy }) => policy))}</p>
          {mayAct.value && changeable.length > 1 && changeable.length < nodes.length && (
            <p class="t3 meta">
              {t`These ${changeable.length}: ${namesOf(changeable)}.`}
              {left.length > 0 && ` ${t`Not ${namesOf(left)}: simulated, or waiting for approval.`}`}
            </p>
          )}
          <SearchField label={t`Find a server`} placeholder={t`Name or tag`} text={text} onText={setText} />
          <section class="card facts-scroll" aria-label={t`Policies, table`} tabIndex={0}>
            <table class="facts-table sentences">
              <thead>
                <tr>
                  {[t`Server`, t`Mode`, t`Services`, t`Containers`, t`Journal`, t`Own actions`].map((label) => (
                    <th key={label} scope="col">
                      {label}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {shown.slice(0, most).map(({ id, name, policy }) => (
                  <tr key={id}>
                    <th scope="row">
                      <a class="accent" href={`/n/${id}/settings`}>
                        {name}
                      </a>
                    </th>
                    {policy ? (
                      <>
                        <td>{policy.mode}</td>
                        <td>{policy.units.join(", ") || t`none`}</td>
                        <td>{policy.containers.join(", ") || t`none`}</td>
                        <td>{JOURNALS[policy.journal] ?? policy.journal}</td>
                        <td>{policy.actions.join(", ") || t`none`}</td>
                      </>
                    ) : (
                      <td colSpan={5} class="t3">{t`not known: it has not connected yet`}</td>
                    )}
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
          <ShowMore more={shown.length > most} onMore={() => setMost(most + SHOWN)} />
        </>
      )}
    </div>
  );
}
