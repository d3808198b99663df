import type { ComponentChildren } from "preact";

/** The heading of a section, a sentence about it, and its buttons. */
export function SectionHead({ title, text, children }: { title: string; text: string; children?: ComponentChildren }) {
  return (
    <div class="section-head">
      <div>
        <h2>{title}</h2>
        <p class="t3 meta">{text}</p>
      </div>
      {children}
    </div>
  );
}
