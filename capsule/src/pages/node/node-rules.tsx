/** The rules that watch a node, with the values that hold for it. */

import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ruleSentence, selectWords } from "../../core/alerts/rule-text";
import { t } from "../../core/text/i18n";
import { nodeRules, type NodeRule } from "../../state/firing-rules";
import { nodeLabel } from "../../state/node-label";
import { ApiError, type NodeView } from "../../state/types";
import { Failure, Loading } from "../../ui/load-states";

export function NodeRules({ view: { id, tags } }: { view: NodeView }): VNode {
  const [rules, setRules] = useState<readonly NodeRule[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    const read = async (): Promise<void> => {
      try {
        const found = await nodeRules(id);
        if (gone) return;
        setRules(found);
        setFailure(null);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!gone) setFailure(error);
      }
    };
    void read();
    return () => {
      gone = true;
    };
  }, [id, tags.join(), turn]);
  if (failure) return <Failure title={t`The rules could not be read`} error={failure} onRetry={() => setTurn(turn + 1)} />;
  if (!rules) return <Loading what={t`the rules`} onRetry={() => setTurn(turn + 1)} />;
  return (
    <section class="card" aria-label={t`Rules`}>
      <div class="facts-scroll" tabIndex={0} role="region" aria-label={t`Rules of this node`}>
        <table class="facts-table sentences">
          <thead>
            <tr>
              <th scope="col">{t`Rule`}</th>
              <th scope="col">{t`Condition`}</th>
              <th scope="col">{t`From`}</th>
            </tr>
          </thead>
          <tbody>
            {rules.map((one) => (
              <RuleRow key={one.rule.id} {...one} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function RuleRow({ rule, override }: NodeRule): VNode {
  const special = override === null ? undefined : rule.overrides[override];
  const from = special ? t`override for ${selectWords(special.select, nodeLabel)}` : rule.origin === "user" ? t`own rule` : rule.changed ? t`changed default` : t`default`;
  return (
    <tr class={rule.enabled ? "" : "t3"}>
      <th scope="row">{rule.name}</th>
      <td>{rule.enabled ? ruleSentence(rule) : t`off`}</td>
      <td title={from}>{from}</td>
    </tr>
  );
}
