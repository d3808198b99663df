/** The newest events. */

interface Told {
  id: string;
}

const HELD = 200;

/** Adds an event at the front: the order is that of writing, as in the hub's lists, not of clocks. Known events change nothing. */
export const prependEvent = <E extends Told>(held: readonly E[], event: E): readonly E[] => (held.some((one) => one.id === event.id) ? held : [event, ...held.slice(0, HELD - 1)]);
