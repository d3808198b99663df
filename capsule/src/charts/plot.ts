/** uPlot itself, in a chunk of its own: fetched with the first chart. */

import uPlot from "uplot";

export { uPlot };
export type Library = typeof uPlot;
