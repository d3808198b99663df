import { useId } from "preact/hooks";
import { t } from "../core/text";
import { rows } from "../state/fleet";
import { TagsField } from "../ui/form";
import { Segmented } from "../ui";

interface Chosen {
  nodes: string[];
  tags: string[];
}

const NAME_ORDER = new Intl.Collator("en", { numeric: true });

/** A field for all nodes (null), or for the nodes with some tags and nodes by name. */
export function NodesField({
  label,
  value,
  onChange,
  every,
}: {
  label: string;
  value: Chosen | null;
  onChange: (chosen: Chosen | null) => void;
  every: string;
}) {
  const id = useId();
  const known = rows.value.map(({ node }) => node).sort((a, b) => NAME_ORDER.compare(a.name, b.name));
  const nameOf = (node: string): string => known.find((one) => one.id === node)?.name ?? t`removed node ${node.slice(0, 8)}`;
  return (
    <div class="stack">
      <div>
        <p class="label">{label}</p>
        <Segmented
          label={label}
          value={value ? "some" : "all"}
          onPick={(kind) => onChange(kind === "all" ? null : { nodes: [], tags: [] })}
          options={[
            { key: "all", label: every },
            { key: "some", label: t`Only some` },
          ]}
        />
      </div>
      {value && (
        <>
          <TagsField label={t`Nodes with any of these tags`} tags={value.tags} onTags={(tags) => onChange({ ...value, tags })} />
          <div class="field">
            <label for={id}>{t`Nodes by name`}</label>
            {value.nodes.length > 0 && (
              <div class="row wrap chosen-nodes">
                {value.nodes.map((node) => (
                  <span class="tag tall" key={node}>
                    {nameOf(node)}
                    <button
                      type="button"
                      aria-label={t`Remove node ${nameOf(node)}`}
                      onClick={() => onChange({ ...value, nodes: value.nodes.filter((one) => one !== node) })}
                    >
                      ×
                    </button>
                  </span>
                ))}
              </div>
            )}
            <select
              id={id}
              class="input"
              value=""
              onChange={(event) => event.currentTarget.value && onChange({ ...value, nodes: [...value.nodes, event.currentTarget.value] })}
            >
              <option value="">{known.length ? t`Add a node…` : t`There are no nodes yet`}</option>
              {known
                .filter((one) => !value.nodes.includes(one.id))
                .map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.name}
                  </option>
                ))}
            </select>
          </div>
        </>
      )}
    </div>
  );
}
