import { ICONS } from "./icons.gen";
import type { LATER_ICONS } from "./later-icons.gen";

export type IconName = keyof typeof ICONS | keyof typeof LATER_ICONS;

const known: Partial<Record<IconName, string>> = { ...ICONS };

/** Later chunks add their own icons. */
export function addIcons(more: Partial<Record<IconName, string>>): void {
  Object.assign(known, more);
}

export function Icon({ name, size = "" }: { name: IconName; size?: "" | "tiny" | "small" | "large" | "huge" }) {
  return (
    <svg class={`icon ${size}`} viewBox="0 0 24 24" aria-hidden="true">
      <path d={known[name]} />
    </svg>
  );
}

export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 28 28" aria-hidden="true">
      <rect width="28" height="28" rx="8" fill="var(--accent)" />
      <g transform="rotate(45 14 14)" fill="none" stroke="#fff" stroke-width="1.8">
        <rect x="9" y="5.2" width="10" height="17.6" rx="5" />
        <path d="M9 14.6h10" />
      </g>
      <circle cx="16.1" cy="11.9" r="1.5" fill="#fff" />
    </svg>
  );
}
