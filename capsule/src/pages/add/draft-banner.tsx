import { t } from "../../core/text";
import { Banner, Button, Icon } from "../../ui";

/** A notice that a form has input from an earlier draft. */
export function DraftBanner({ secrets = true, onStartOver }: { secrets?: boolean; onStartOver: () => void }) {
  return (
    <Banner
      kind="info"
      mark={<Icon name="info" />}
      action={
        <Button slim onClick={onStartOver}>
          {t`Start over`}
        </Button>
      }
    >
      {secrets ? t`As you left it, except for keys and passwords, which are not saved.` : t`As you left it.`}
    </Banner>
  );
}
