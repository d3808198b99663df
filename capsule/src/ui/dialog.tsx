import type { ComponentChildren, VNode } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../core/text/i18n";
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

/** A modal dialog; on a phone a sheet from below. Focus goes to its title and comes back to what opened it. */
export function Dialog({ title, subtitle, icon, size = "", onClose, children }: Props): VNode {
  const ref = useRef<HTMLDialogElement>(null);
  const head = useRef<HTMLHeadingElement>(null);
  const id = useId();
  const closing = useRef(onClose);
  closing.current = onClose;
  // Not a moment later: by then somebody has gone on by key, and the focus that comes back would take them away from there.
  useLayoutEffect(() => {
    const dialog = ref.current as HTMLDialogElement;
    const giveBack = rememberFocus();
    dialog.showModal();
    if (!dialog.querySelector("[autofocus]")) head.current?.focus();
    // A button that is gone after its press takes the focus with it: the title has it then, so that keys and readers stay in the dialog.
    let last: EventTarget | null = null;
    const held = (event: FocusEvent): void => {
      last = event.target;
    };
    const gone = new MutationObserver(() => {
      if (document.activeElement === document.body && last instanceof Element && !last.isConnected) head.current?.focus({ preventScroll: true });
    });
    // Chromium shuts one at a second Esc, whatever is said to `cancel`: one that is still to be seen opens again.
    let leaving = false;
    const shut = (): void => {
      if (leaving) return;
      const at = last;
      dialog.showModal();
      (at instanceof HTMLElement && at.isConnected ? at : head.current)?.focus();
      closing.current();
    };
    dialog.addEventListener("close", shut);
    dialog.addEventListener("focusin", held);
    gone.observe(dialog, { childList: true, subtree: true });
    return () => {
      gone.disconnect();
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
  /** What is under way, or what comes next. */
  status?: string;
  /** What was asked for is under way: leaving stops nothing any more. */
  sending?: boolean;
  /** What leaving is called. */
  out?: string;
  /** Leaving has the focus: what the dialog does is not to be done by an Enter too many. */
  focused?: boolean;
  onClose: () => void;
  /** What the dialog is for. */
  children: ComponentChildren;
}

/** The end of a dialog: what is under way, the way out, and what it does. */
export function Foot({ status, sending = false, out = t`Cancel`, focused = false, onClose, children }: FootProps): VNode {
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

/** Remembers what has the focus now; the function that this returns gives it back, where that is there still. */
export function rememberFocus(): () => void {
  const had = document.activeElement;
  return () => {
    if (had instanceof HTMLElement && had.isConnected) had.focus();
  };
}
