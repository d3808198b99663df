/** The terminal, for who reads the output of a job. It names the first view like every later part, so that its library of parts is not a file of its own. */

import "./first";

export { Screen } from "../terminal/screen";
