/** The page of a user who works in no organisation: theirs is suspended, or they belong to none. */

import { t } from "../../core/text";
import { chosen, isHubAdmin, organisations, outside, switchTo } from "../../state/organisation";
import { logOut } from "../../state/session";
import { Button } from "../../ui";
import { OrganisationsPage } from "../settings/organisations";
import { Offers } from "../settings/offers";
import { Frame } from "./frame";

export function OutsidePage() {
  const suspended = outside.value === "suspended";
  const name = organisations.value.find(({ slug }) => slug === chosen.value)?.name ?? t`This organisation`;
  const open = organisations.value.filter(({ state }) => state === "active");
  return (
    <>
      <Frame
        title={suspended ? t`${name} is suspended` : t`You belong to no organisation`}
        text={
          suspended
            ? t`An admin of this hub can resume it. Servers go on reporting, and nobody is told of anything meanwhile.`
            : t`Ask an admin to offer you a membership. Rights by a group of a provider count after a sign-in through it.`
        }
      >
        <Offers />
        {open.map(({ slug, name }) => (
          <Button key={slug} onClick={() => switchTo(slug)}>{t`Work in ${name}`}</Button>
        ))}
        <Button onClick={() => void logOut()}>{t`Sign out`}</Button>
      </Frame>
      {isHubAdmin.value && (
        <div class="page">
          <OrganisationsPage />
        </div>
      )}
    </>
  );
}
