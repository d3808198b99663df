/** What the parts of the editor of a patch policy share. */

import type { ComponentChildren, VNode } from "preact";
import type { WHATS } from "../../core/rollouts/rollout-text";
import { t } from "../../core/text";
import type { PatchPolicyBody } from "../../state/types";

export type Draft = PatchPolicyBody & { what: keyof typeof WHATS };

export interface Part {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

/** Of a policy of which only a part of the selection is shown. */
export const BEYOND = t`It also selects servers beyond your rights: only somebody who may change all of them changes it or runs it.`;

export const Card = ({ title, children }: { title: string; children: ComponentChildren }): VNode => (
  <section class="card padded stack" aria-label={title}>
    <h2>{title}</h2>
    {children}
  </section>
);

export const options = <K extends string>(words: Readonly<Record<K, string>>): [string, string][] => Object.entries(words);
