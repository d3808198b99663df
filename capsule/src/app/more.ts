/** Dialogs that are not part of the first view. */

import "../pages/first";
import "../pages/later";

export { AddNodeDialog } from "../pages/add/add";
export { RedeployDialog } from "../pages/redeploy/redeploy";
export { RemoveNodeDialog } from "../pages/remove/remove";
export { Keys, StepUpDialog } from "./extras";
export { Palette } from "./palette";
