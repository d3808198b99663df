/** Everything about people and access, one chunk: the settings, and the steps of a log-in that not everybody has. */

import "./first";
import "./later";

export { ChangePage } from "./login/change";
export { EnrolPage } from "./login/enrol";
export { SecondStep } from "./login/second";
export { SettingsPage } from "./settings/settings";
