import type { ComponentChildren } from "preact";
import { t } from "../core/text";
import type { Meeting } from "../core/text/meeting";
import { Banner, Button, Glyph } from "../ui";

interface Props {
  met: Meeting<object>;
  onTake: () => void;
  /** A button that saves over it, where none is beside the fields. */
  children?: ComponentChildren;
}

/** Says what somebody else has saved meanwhile: what was typed is still in the fields, and nothing was saved. */
export const MeetingNotice = ({ met, onTake, children }: Props) => (
  <Banner
    alert
    mark={<Glyph kind="warn" label="" />}
    action={
      <>
        {children}
        <Button slim onClick={onTake}>{t`Take theirs`}</Button>
      </>
    }
  >
    <b>{t`Somebody else has saved it meanwhile. Nothing was saved yet.`}</b>
    {met.theirs.length > 0 && <p class="plain">{t`Their changes, taken into the fields: ${met.theirs.join("; ")}.`}</p>}
    <p class="plain">
      {met.ours.length > 0 ? t`Yours, which differ from theirs: ${met.ours.join("; ")}.` : t`Your fields differ in nothing from theirs.`}
    </p>
  </Banner>
);
