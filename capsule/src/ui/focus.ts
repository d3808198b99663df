/** Remembers what has the focus now; the function that this returns gives it back, where that is there still. */
export function rememberFocus(): () => void {
  const had = document.activeElement;
  return () => {
    if (had instanceof HTMLElement && had.isConnected) had.focus();
  };
}
