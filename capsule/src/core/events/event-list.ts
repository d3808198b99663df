/** The newest events, as they are held. */

interface Told {
  id: string;
}

const HELD = 200;

/** With one more, which stands first: as in the hub's lists, what was written last, whatever its clock showed. The same ones where it is held already. */
export const prependEvent = <E extends Told>(held: readonly E[], event: E): readonly E[] => (held.some((one) => one.id === event.id) ? held : [event, ...held.slice(0, HELD - 1)]);
