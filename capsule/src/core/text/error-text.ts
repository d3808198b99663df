/** Error texts for people. */

import { t } from "./i18n";

interface RefusalLike {
  code: string;
  detail: string;
}

/** The hub's message about a missing right of a role has API names, so it is replaced. Its other messages are for people already. */
export const errorText = ({ code, detail }: RefusalLike): string => (code === "auth.forbidden" && detail.startsWith("The role ") ? t`Your role does not allow this.` : detail);
