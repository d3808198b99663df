import { useMemo } from "preact/hooks";
import { qrCode, qrPath } from "../core/access/qr-code";

const QUIET = 4;

/** A QR code, dark on light in either theme as readers require; nothing if the text is too long. */
export function Qr({ text, label }: { text: string; label: string }) {
  const grid = useMemo(() => qrCode(new TextEncoder().encode(text)), [text]);
  if (!grid) return null;
  const size = grid.length + 2 * QUIET;
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`${-QUIET} ${-QUIET} ${size} ${size}`} shape-rendering="crispEdges">
      <rect x={-QUIET} y={-QUIET} width={size} height={size} fill="#fff" />
      <path d={qrPath(grid)} fill="#000" />
    </svg>
  );
}
