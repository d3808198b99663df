/** What everything behind the first view shares: its tabs, its icons, and its style sheet. That one is adopted, not linked: the policy allows no other that comes late. */

import text from "sheet:src/styles/later.css";
import "../state/named";
import "../state/demoted";
import "../ui/form";
import "../ui/tabs";
import { addIcons } from "../ui/icon";
import { LATER_ICONS } from "../ui/later-icons.gen";

addIcons(LATER_ICONS);
const sheet = new CSSStyleSheet();
sheet.replaceSync(text);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
