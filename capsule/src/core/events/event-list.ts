interface Identified {
  id: string;
}

const MAX_EVENTS = 200;

/** Adds an event at the front, whatever its time: as in the hub's lists, the order is that of arrival. An event that is listed already is replaced in its position. */
export const prependEvent = <E extends Identified>(events: readonly E[], event: E): readonly E[] =>
  events.some((one) => one.id === event.id)
    ? events.map((one) => (one.id === event.id ? event : one))
    : [event, ...events.slice(0, MAX_EVENTS - 1)];
