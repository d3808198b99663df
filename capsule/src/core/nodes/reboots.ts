/** The words of ordered reboots. */

import { duration, t } from "../text";
import type { RebootView } from "../../wire/schema.gen";

type RebootLike = Pick<
  RebootView,
  "verdict" | "words" | "needed" | "need" | "boot_from" | "boot_to" | "away_s" | "kernel_from" | "kernel_to"
>;

const VERDICTS: Readonly<Record<RebootLike["verdict"], string>> = {
  kept: t`Came back as it was`,
  broken: t`Came back, and something is missing`,
  not_rebooted: t`Not rebooted`,
  under_way: t`Under way`,
  overdue: t`Overdue: it has not come back`,
  unknown: t`Not known`,
};

export const rebootVerdict = ({ verdict, words }: RebootLike): string =>
  words && verdict !== "broken" ? `${VERDICTS[verdict]}: ${words}` : VERDICTS[verdict];

/** Why it was due, as the server said at the order. Empty: it did not say. */
export function rebootNeed({ needed, need }: RebootLike): string {
  if (!need) return "";
  return needed === "yes" ? t`Needed: ${need}.` : needed === "no" ? t`Not needed: ${need}.` : t`Not known whether it was needed: ${need}.`;
}

/** The evidence in one line: how long it took, the kernels, and the boot ids, of which the first eight characters are enough. */
export function rebootEvidence({ away_s, kernel_from, kernel_to, boot_from, boot_to }: RebootLike): string {
  const kernels =
    kernel_from && kernel_to && (kernel_from === kernel_to ? t`kernel ${kernel_to}, as before` : t`kernel ${kernel_from} → ${kernel_to}`);
  return [
    away_s !== null && t`Up again after ${duration(away_s)}`,
    kernels,
    boot_from && boot_to && t`boot ${boot_from.slice(0, 8)} → ${boot_to.slice(0, 8)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

const LOSS = / before the reboot and (?:do|are) not now: |^Units that failed since the reboot: /;

/** The notes that say what did not come back. */
export const rebootLosses = (notes: readonly string[]): string[] => notes.filter((note) => LOSS.test(note));
