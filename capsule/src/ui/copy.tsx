import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { t } from "../core/text/i18n";
import { Button } from "./button";

const SAY_MS = 1500;

/** Without access to the clipboard (plain http from another host), a selection and the old command still work. */
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

export function CopyButton({ text, name, slim = true }: { text: () => string; name?: string; slim?: boolean }): VNode {
  const [said, setSaid] = useState("");
  const copy = async (): Promise<void> => {
    setSaid((await copyText(text())) ? t`Copied` : t`Could not copy`);
    setTimeout(() => setSaid(""), SAY_MS);
  };
  return (
    <>
      <Button kind={name ? "quiet" : ""} slim={slim} icon={said === t`Copied` ? "check" : "copy"} {...(name ? { name: said || name } : {})} onClick={() => void copy()}>
        {name ? undefined : said || t`Copy`}
      </Button>
      <span class="hidden-text" role="status">
        {said}
      </span>
    </>
  );
}
