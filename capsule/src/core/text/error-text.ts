/** Why the hub does not do something, for people. */

import { t } from "./i18n";

interface RefusalLike {
  code: string;
  detail: string;
}

/** That a role may not do something the hub says as programs name both. What else stands in the way, a limit to some nodes say, it says for people. */
export const errorText = ({ code, detail }: RefusalLike): string => (code === "auth.forbidden" && detail.startsWith("The role ") ? t`Your role does not allow this.` : detail);
