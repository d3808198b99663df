/** Why the hub does not do something, for people. */

import { t } from "./say";

interface RefusalLike {
  code: string;
  detail: string;
}

/** With what a sentence of the hub's begins where it is no name: one of a node, of a user or of a field stays as it is written. */
const BEGINS = /^(?:an?|another|at|change|give|it|log|more|no|not|nothing|one|people|rights|set|that|the|there|this|too|two|what|who|your) /;

/** The hub's words as the page writes its own. */
const sentence = (text: string): string => (BEGINS.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text);

/** That a role may not do something the hub says as programs name both. What else stands in the way, a limit to some nodes say, it says for people. */
export const refusalText = ({ code, detail }: RefusalLike): string => (code === "auth.forbidden" && detail.startsWith("the role ") ? t`Your role does not allow this.` : sentence(detail));
