/** A sentence that says how often the rule would have fired in the last days. It is requested when typing pauses. */

import { useEffect, useState } from "preact/hooks";
import { previewSentence } from "../../core/alerts/rule-text";
import { t } from "../../core/text";
import { previewRule } from "../../state/alert-calls";
import { hubNow } from "../../state/clock";
import { ApiError, type RuleBody } from "../../state/types";

const SETTLE_MS = 600;
const DAYS = 7;

export function RulePreview({ rule }: { rule: RuleBody }) {
  const [text, setText] = useState("");
  // Another name gives the same result.
  const request = JSON.stringify({ ...rule, name: "" });
  useEffect(() => {
    let over = false;
    if (/^\s*state\b/.test(rule.expr)) {
      setText(t`States are not stored, so this rule cannot be tried on the past.`);
      return;
    }
    setText(t`Looking at the last ${DAYS} days…`);
    const timer = setTimeout(async () => {
      const to = hubNow();
      try {
        const found = await previewRule({ ...(JSON.parse(request) as RuleBody), name: rule.name || "preview" }, to - DAYS * 86_400, to);
        if (!over) setText(found ? previewSentence(found, DAYS) : "");
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!over) setText(error.detail);
      }
    }, SETTLE_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [request]);
  return (
    <p class="t2 anywhere" role="status">
      {text}
    </p>
  );
}
