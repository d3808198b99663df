/** The newest events. */

interface Identified {
  id: string;
}

const MAX_EVENTS = 200;

/** Adds an event at the front: the order is that of writing, as in the hub's lists, not of clocks. A known one, which was counted again, keeps its place. */
export const prependEvent = <E extends Identified>(held: readonly E[], event: E): readonly E[] =>
  held.some((one) => one.id === event.id) ? held.map((one) => (one.id === event.id ? event : one)) : [event, ...held.slice(0, MAX_EVENTS - 1)];
