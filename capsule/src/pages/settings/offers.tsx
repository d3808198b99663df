/** Memberships that wait for the user. Nothing shows while there is none. */

import { useEffect, useState } from "preact/hooks";
import { ROLE_LABELS } from "../../core/access/account-labels";
import { t } from "../../core/text";
import { answerOffer, loadOffers } from "../../state/organisations";
import { ApiError, type OwnOfferView } from "../../state/types";
import { Button } from "../../ui";
import { ActionError, useAction } from "../use-action";

export function Offers() {
  const [offers, setOffers] = useState<readonly OwnOfferView[]>([]);
  const [failure, setFailure] = useState("");
  const act = useAction();
  useEffect(() => {
    loadOffers().then(setOffers, (error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error.detail);
    });
  }, []);
  const answer = (one: OwnOfferView, accept: boolean): void =>
    void act.run(async () => {
      await answerOffer(one.slug, accept);
      if (accept) location.assign("/");
      else setOffers((held) => held.filter((other) => other.slug !== one.slug));
    });
  if (!failure && !offers.length) return null;
  return (
    <section class="card stack" aria-label={t`Offered memberships`}>
      <h2>{t`Offered memberships`}</h2>
      <ActionError text={failure || act.refusal} />
      <ul class="rows-card" aria-label={t`Offered memberships`}>
        {offers.map((one) => (
          <li key={one.slug}>
            <div class="grow">
              <span class="medium">{one.name}</span>
              <p class="meta t3">{t`${ROLE_LABELS[one.role]}, offered by ${one.made_by}`}</p>
            </div>
            <Button slim busy={act.busy} onClick={() => answer(one, false)}>{t`Decline`}</Button>
            <Button slim kind="primary" busy={act.busy} onClick={() => answer(one, true)}>{t`Accept`}</Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
