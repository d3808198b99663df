/** The rules that watch a node, with the values that apply to it. */

import { ruleSentence, selectWords } from "../../core/alerts/rule-text";
import { t } from "../../core/text";
import { nodeRules, type NodeRule } from "../../state/firing-rules";
import { nodeLabel } from "../../state/node-label";
import type { NodeView } from "../../state/types";
import { Failure, Loading } from "../../ui";
import { FactsTable } from "../../ui/facts-table";
import { useAnswer } from "../use-answer";

export function NodeRules({ view: { id, tags } }: { view: NodeView }) {
  const { found: rules, failure, load } = useAnswer(() => nodeRules(id), [id, tags.join()]);
  if (failure) return <Failure title={t`The rules could not be read`} error={failure} onRetry={load} />;
  if (!rules) return <Loading what={t`the rules`} onRetry={load} />;
  return (
    <section class="card" aria-label={t`Rules`}>
      <FactsTable label={t`Rules of this node`} heads={[t`Rule`, t`Condition`, t`From`]} sentences>
        {rules.map((one) => (
          <RuleRow key={one.rule.id} {...one} />
        ))}
      </FactsTable>
    </section>
  );
}

function RuleRow({ rule, override }: NodeRule) {
  const special = override === null ? undefined : rule.overrides[override];
  const from = special
    ? t`override for ${selectWords(special.select, nodeLabel)}`
    : rule.origin === "user"
      ? t`own rule`
      : rule.changed
        ? t`changed default`
        : t`default`;
  return (
    <tr class={rule.enabled ? "" : "t3"}>
      <th scope="row">{rule.name}</th>
      <td>{rule.enabled ? ruleSentence(rule) : t`off`}</td>
      <td title={from}>{from}</td>
    </tr>
  );
}
