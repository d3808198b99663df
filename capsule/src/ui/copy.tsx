import { useState } from "preact/hooks";
import { t } from "../core/text";
import { Button } from "./button";

const MESSAGE_MS = 1500;

/** Copies a text. Returns whether it worked. Without access to the clipboard (plain http from another host), uses the old command. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden-text";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, name, slim = true }: { text: () => string; name?: string; slim?: boolean }) {
  const [message, setMessage] = useState("");
  const copy = async (): Promise<void> => {
    setMessage((await copyText(text())) ? t`Copied` : t`Could not copy`);
    setTimeout(() => setMessage(""), MESSAGE_MS);
  };
  return (
    <>
      <Button
        kind={name ? "quiet" : ""}
        slim={slim}
        icon={message === t`Copied` ? "check" : "copy"}
        {...(name ? { name: message || name } : {})}
        onClick={() => void copy()}
      >
        {name ? undefined : message || t`Copy`}
      </Button>
      <span class="hidden-text" role="status">
        {message}
      </span>
    </>
  );
}
