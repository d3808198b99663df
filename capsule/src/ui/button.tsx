import type { ComponentChildren, TargetedMouseEvent } from "preact";
import { Glyph } from "./glyph";
import { cutOff } from "./hub-link";
import { Icon, type IconName } from "./icon";

type Kind = "" | "primary" | "quiet" | "danger" | "destroy";

interface Props {
  kind?: Kind;
  icon?: IconName;
  slim?: boolean;
  /** Whether its action runs: the button shows the running glyph, and a press does nothing. */
  busy?: boolean;
  /** Whether a press asks the hub for something, so that it does nothing while the hub is out of reach. By default what can be busy does. */
  acts?: boolean;
  /** The label of a button with an icon only. */
  name?: string;
  type?: "button" | "submit";
  disabled?: boolean;
  class?: string;
  /** Further attributes: `aria-pressed`, `autofocus`, `form` … */
  more?: Readonly<Record<string, string | boolean | undefined>>;
  onClick?: (event: TargetedMouseEvent<HTMLButtonElement>) => void;
  children?: ComponentChildren;
}

export function Button({
  kind = "",
  icon,
  slim = false,
  busy,
  acts = busy !== undefined,
  name,
  type = "button",
  class: extra = "",
  disabled = false,
  more = {},
  children,
  onClick,
}: Props) {
  const cut = acts ? cutOff() : undefined;
  const classes = ["button", kind, slim ? "slim" : "", name ? "only-icon" : "", extra].filter(Boolean).join(" ");
  return (
    <button
      type={type}
      disabled={disabled}
      class={classes}
      aria-label={name}
      title={name}
      aria-busy={busy || undefined}
      {...more}
      {...cut}
      onClick={(event) => {
        if (busy || cut) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {icon && <Icon name={icon} size="small" />}
      {children !== undefined && <span class="row">{children}</span>}
      {busy && (
        <span class="busy">
          <Glyph kind="run" label="" />
        </span>
      )}
    </button>
  );
}
