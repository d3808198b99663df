/**
 * What the first view holds and some later part uses too, and the two pages of the first view themselves. Each later part names all of it, so
 * that the bundler keeps it in one file: cut by who uses what, it packs two kilobytes worse. Nothing is fetched for it, the first view has it already.
 */

import "../core/filter";
import "../core/lineup";
import "../core/series";
import "../core/settle";
import "../core/time";
import "../core/words";
import "../state/deployments";
import "../state/dialogs";
import "../state/events";
import "../state/jobs";
import "../state/preferences";
import "../state/selection";
import "../state/sparks";
import "../state/stepup";
import "../state/theme";
import "../state/types";
import "../ui/field";
import "../ui/lazy";
import "../ui/live";
import "../ui/menu";
import "../ui/near";
import "../ui/phone";
import "../ui/search";
import "../ui/windowed";
import "./fleet/attention";
import "./fleet/cells";
import "./fleet/fleet";
import "./login/frame";
import "./login/login";
