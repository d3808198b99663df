import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../core/text";
import { Button } from "./button";
import { Icon, type IconName } from "./icon";

interface Props {
  title: string;
  subtitle?: ComponentChildren;
  icon?: IconName;
  size?: "" | "wide" | "narrow";
  onClose: () => void;
  children: ComponentChildren;
}

/** A modal dialog. It focuses the element with `autofocus`, or else its title. When it closes, it focuses the element that had the focus before. */
export function Dialog({ title, subtitle, icon, size = "", onClose, children }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const head = useRef<HTMLHeadingElement>(null);
  const id = useId();
  const latestOnClose = useRef(onClose);
  latestOnClose.current = onClose;
  // A layout effect runs before the next key. A later effect could take the focus from where the user has moved it.
  useLayoutEffect(() => {
    const dialog = ref.current as HTMLDialogElement;
    const giveBack = rememberFocus();
    dialog.showModal();
    if (!dialog.querySelector("[autofocus]")) head.current?.focus();
    // If the focused element disappears, such as a pressed button, the title gets the focus, so that keys stay in the dialog.
    let last: EventTarget | null = null;
    const noteFocus = (event: FocusEvent): void => {
      last = event.target;
    };
    const observer = new MutationObserver(() => {
      if (document.activeElement === document.body && last instanceof Element && !last.isConnected)
        head.current?.focus({ preventScroll: true });
    });
    // Chromium closes a dialog at a second Esc, even if `cancel` is prevented. Then the dialog opens again, and `onClose` decides.
    let leaving = false;
    const reopen = (): void => {
      if (leaving) return;
      const at = last;
      dialog.showModal();
      (at instanceof HTMLElement && at.isConnected ? at : head.current)?.focus();
      latestOnClose.current();
    };
    dialog.addEventListener("close", reopen);
    dialog.addEventListener("focusin", noteFocus);
    observer.observe(dialog, { childList: true, subtree: true });
    return () => {
      observer.disconnect();
      leaving = true;
      dialog.close();
      giveBack();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={`dialog ${size}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header>
        {icon && <Icon name={icon} size="large" />}
        <div class="grow">
          <h2 id={id} ref={head} tabIndex={-1}>
            {title}
          </h2>
          {subtitle && <p class="meta t3 cut">{subtitle}</p>}
        </div>
        <Button kind="quiet" name={t`Close`} icon="x" onClick={onClose} />
      </header>
      {children}
    </dialog>
  );
}

interface FootProps {
  /** A text about the running action, or the next step. */
  status?: string;
  /** Whether the request runs: closing the dialog does not stop it. */
  sending?: boolean;
  /** The label of the closing button. */
  out?: string;
  /** Whether the closing button gets the focus, so that an extra Enter does not start the action. */
  focused?: boolean;
  onClose: () => void;
  /** The button with the dialog's action. */
  children: ComponentChildren;
}

/** The footer of a dialog: status, closing button and action. */
export function Foot({ status, sending = false, out = t`Cancel`, focused = false, onClose, children }: FootProps) {
  return (
    <footer>
      {status !== undefined && (
        <span class="t3 aside" role="status">
          {status}
        </span>
      )}
      <Button class="end" more={focused ? { autofocus: true } : {}} onClick={onClose}>
        {sending ? t`Close` : out}
      </Button>
      {children}
    </footer>
  );
}

/** Remembers the focused element. The returned function focuses it again if it still exists. */
export function rememberFocus(): () => void {
  const had = document.activeElement;
  return () => {
    if (had instanceof HTMLElement && had.isConnected) had.focus();
  };
}
