/** The parts of the fleet's filter, and the one of them that the menu of states sets. */

/** Asks for this state and no other, or for any where it is empty. */
export const withState = (tokens: readonly string[], state: string): string[] => tokens.filter((one) => !/^state[:=]/i.test(one)).concat(state ? `state:${state}` : []);
