/** Icons and styles that the first view does not need. The content policy forbids a link element that is added later, so the sheet is adopted. */

import text from "sheet:src/styles/later.css";
import { addIcons } from "./icon";
import { LATER_ICONS } from "./later-icons.gen";

addIcons(LATER_ICONS);
const sheet = new CSSStyleSheet();
sheet.replaceSync(text);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
