/** The newest events, as they are held. */

interface Dated {
  id: string;
  at: number;
}

const HELD = 200;

/** With one more, newest first by when they happened: what waited in the hub, for room on its disk say, comes later than that. The new one is never the one that has no room. The same ones where it is held already. */
export const newest = <E extends Dated>(held: readonly E[], event: E): readonly E[] =>
  held.some((one) => one.id === event.id) ? held : [event, ...held.slice(0, HELD - 1)].sort((a, b) => b.at - a.at);
