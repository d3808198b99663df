import type { ComponentChildren } from "preact";
import { t } from "../core/text";

interface Props {
  /** The name of the region that scrolls. */
  label: string;
  caption?: string;
  heads: readonly string[];
  /** The indices of the columns with numbers. */
  numbers?: readonly number[];
  /** Whether a last column has buttons. */
  acts?: boolean;
  /** Whether its cells are sentences, which may break. */
  sentences?: boolean;
  children: ComponentChildren;
}

/** A table of facts about a node, which scrolls within its card. Its children are the rows. */
export function FactsTable({ label, caption, heads, numbers = [], acts = false, sentences = false, children }: Props) {
  return (
    <div class="facts-scroll" role="region" aria-label={label} tabIndex={0}>
      <table class={`facts-table ${sentences ? "sentences" : ""}`}>
        {caption && <caption class="hidden-text">{caption}</caption>}
        <thead>
          <tr>
            {heads.map((head, index) => (
              <th key={index} scope="col" class={numbers.includes(index) ? "num" : ""}>
                {head}
              </th>
            ))}
            {acts && (
              <th scope="col">
                <span class="hidden-text">{t`Actions`}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
