/**
 * Collects every message that the page shows. `--write [FILE]` writes all messages as a catalogue for translators (default: words/en.json).
 *
 * Exit 1 when a text of the sources does not go through `core/text/i18n.ts`, or when a language in words/ has a message that the page does not show.
 */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SyntaxKind as K } from "typescript/unstable/ast";
import { API, TypeFlags } from "typescript/unstable/sync";

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(here, "words");
/** Attributes of HTML elements with text for people. Every attribute of a component counts as such, except NOT_SHOWN and unions of words. */
const SHOWN = new Set(["title", "aria-label", "placeholder", "alt", "aria-description", "aria-valuetext", "aria-roledescription"]);
const NOT_SHOWN =
  /^(?:on[A-Z]|data-)|^(?:class|href|id|key|for|type|kind|icon|size|above|input|more|ref|style|aria-keyshortcuts|mark|outcome|value|tab|verb)$|^(?:Icon|FilterText) name$|^Form autocomplete$/;
/** Elements whose text is the same in every language. */
const TYPED = new Set(["code", "kbd"]);
/** Names, examples of input, and texts for programmers. */
const NAMES = new Set([
  "Stardust",
  "Stardust,",
  "Edge",
  "Opera",
  "Firefox",
  "Chrome",
  "Safari",
  "Python",
  "Android",
  "Windows",
  "ChromeOS",
  "Linux",
  "Ed25519",
  "ECDSA P-256",
  "ECDSA P-384",
  "ECDSA P-521",
  "KiB",
  "MiB",
  "GiB",
  "TiB",
  "PiB",
  "Mbit/s",
  "Gbit/s",
  "Tbit/s",
  "ground control",
  "major tom",
  "stardust backup FOLDER",
  "-----BEGIN OPENSSH PRIVATE KEY-----",
  "ssh-ed25519-cert-v01@openssh.com AAAA…",
  "avg(cpu.total, 10m)",
  "Europe/Budapest",
  "disk sda",
  "admin",
  "user.create",
  "g f",
  "g a",
  "g u",
  "g j",
  "g e",
  "g s",
]);
/** Selectors and fonts in constants. */
const CODE =
  /^(?:install -m |stardust [a-z]+ |stardust [a-z]+$|\s{2,}- job_name|\s{4}(?:authorization|scheme|static_configs):|button, |input[,:]|main :is|11px )|\bsans-serif$/;
const hidden = (tag, attribute) => NOT_SHOWN.test(attribute) || NOT_SHOWN.test(`${tag} ${attribute}`);
const QUIET_CALLS =
  /(?:^|\.)(?:querySelector(?:All)?|closest|matches|matchMedia|load|replace|replaceAll|test|split|includes|startsWith|endsWith|get|has|set|setAttribute|addEventListener|defineProperty)$/;
const NO_MESSAGE = "shown but does not go through i18n.ts";
const letters = (text) => /\p{L}/u.test(text);
/** Whether a text looks like a message: two words side by side, or a word that begins or ends like a sentence. */
const reads = (text) => /\p{L}[\p{L}’',.:;”)]* +[\p{L}“(0-9{]|\} \p{L}|^[A-Z][a-z]+|\p{L}[….]$/u.test(text.trim());

/** Parts of the names of metrics that only rules use: the hub derives these metrics, so the schema does not list them. */
const DERIVED = ["available percent", "used percent", "per core"];

/** The texts of the hub that the page translates: metrics, units, columns of tables, sentences of agents. Acronyms and formatted units are left out. */
function named() {
  const schema = fs.readFileSync(path.join(here, "src/wire/schema.gen.ts"), "utf8");
  const words = (name) => name.replace(/_at$/, "").replaceAll("_", " ");
  const head = (name) =>
    /^(?:pid|cpu|mac|mtu|tcp|udp|gpu|psi|next_at|last_at)$/.test(name) ? "" : words(name).charAt(0).toUpperCase() + words(name).slice(1);
  const metrics = [...schema.matchAll(/\{"name": "([^"]+)", "unit": "([^"]*)"/g)].flatMap(([, name, unit]) => {
    const [family, ...rest] = name.split(".");
    return [
      head(family),
      rest.length ? rest.join(" ").replaceAll("_", " ") : family,
      /^(?:bytes|bytes\/s|bits\/s|percent|celsius|seconds|milliseconds|flag)$/.test(unit) ? "" : unit,
    ];
  });
  const columns = JSON.parse(/COLUMNS: readonly string\[\] = (.*);/.exec(schema)[1]).map(head);
  const sentences = JSON.parse(/SENTENCES: readonly string\[\] = (.*);/.exec(schema)[1]);
  return [...metrics, ...columns, ...DERIVED, ...sentences].filter(letters);
}

const messages = new Map(named().map((name) => [name, name]));
const faults = [];
const used = new Set();

const api = new API({ cwd: here });
const folders = fs
  .readdirSync(path.join(here, "src"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && fs.existsSync(path.join(here, "src", entry.name, "tsconfig.json")));
const projects = api.updateSnapshot({ openProjects: folders.map(({ name }) => `src/${name}/tsconfig.json`) }).getProjects();
const read = new Set();
for (const { program, checker, rootFiles } of projects) {
  for (const file of rootFiles) {
    const name = path.relative(path.join(here, "src"), file).split(path.sep).join("/");
    if (read.has(name) || /\.d\.ts$|(?:schema|icons)\.gen\.ts$|^core\/text\/i18n\.ts$/.test(name)) continue;
    read.add(name);
    walk(program.getSourceFile(file), name, checker);
  }
}
api.close();

/** The text of a string or template with numbered placeholders; null for any other node. */
function textOf(node) {
  if (node.kind === K.StringLiteral || node.kind === K.NoSubstitutionTemplateLiteral) return node.text;
  if (node.kind !== K.TemplateExpression) return null;
  return node.templateSpans.reduce((text, span, at) => `${text}{${at}}${span.literal.text}`, node.head.text);
}

function walk(file, name, checker) {
  const say = (node, why) =>
    faults.push(
      `src/${name}:${file.text.slice(0, node.getStart(file)).split("\n").length}: ${why}: ${node.getText(file).trim().slice(0, 100)}`,
    );

  function note(key, words, node) {
    if (key !== key.trim()) say(node, "a message must not begin or end with a blank");
    if (key in {}) say(node, "a message must not be the name of a property that every object has");
    messages.set(key, words);
  }

  function forms(node) {
    const [, one, many] = node.arguments;
    const word = one && textOf(one);
    if (word == null || (many && textOf(many) == null)) {
      if (name !== "core/text/units.ts") say(node, "the argument must be a literal");
      return;
    }
    const more = many ? textOf(many) : `${word}s`;
    note(`${word}|${more}`, { one: word, other: more }, node);
  }

  /** Reports literals in a shown position: each text there must be a message, even a short one. */
  function shown(node) {
    switch (node?.kind) {
      case K.JsxExpression:
      case K.ParenthesizedExpression:
      case K.AsExpression:
      case K.NonNullExpression:
      case K.SpreadElement:
        return shown(node.expression);
      case K.ConditionalExpression:
        shown(node.whenTrue);
        return shown(node.whenFalse);
      case K.BinaryExpression:
        if ([K.BarBarToken, K.QuestionQuestionToken, K.PlusToken].includes(node.operatorToken.kind)) shown(node.left);
        if ([K.BarBarToken, K.QuestionQuestionToken, K.PlusToken, K.AmpersandAmpersandToken].includes(node.operatorToken.kind))
          shown(node.right);
        return;
      case K.TemplateExpression:
        node.templateSpans.forEach((span) => shown(span.expression));
        return plain(node);
      case K.StringLiteral:
      case K.NoSubstitutionTemplateLiteral:
        return plain(node);
    }
  }

  function plain(node) {
    if (used.has(node)) return;
    used.add(node);
    const text = textOf(node).replaceAll(/\{\d\}/g, " ");
    if (letters(text) && !NAMES.has(text.trim()) && !chosen(node)) say(node, NO_MESSAGE);
  }

  /** Whether a literal is a word of a union type. Such a word has its label elsewhere. */
  function chosen(node) {
    const type = checker.getContextualType(node);
    return (type?.isUnion?.() ? type.getTypes() : [type]).some((one) => one?.flags & TypeFlags.StringLiteral);
  }

  /** Whether a text is not shown: a key, an operand of a comparison, an argument of a search. */
  function quiet(node) {
    for (let at = node, { parent } = node; parent; at = parent, { parent } = parent) {
      switch (parent.kind) {
        case K.ImportDeclaration:
        case K.ExportDeclaration:
        case K.ImportEqualsDeclaration:
        case K.LiteralType:
        case K.TemplateLiteralType:
        case K.CaseClause:
        case K.NewExpression:
        case K.ExternalModuleReference:
        case K.ModuleDeclaration:
          return parent.kind !== K.NewExpression || parent.expression.getText(file) !== "ApiError";
        case K.TaggedTemplateExpression:
          return true;
        case K.JsxAttribute: {
          const tag = parent.parent.parent.tagName.getText(file);
          const attribute = parent.name.getText(file);
          return /^[a-z]/.test(tag) ? !SHOWN.has(attribute) : hidden(tag, attribute) && attribute !== "input" && attribute !== "more";
        }
        case K.CallExpression:
          if (parent.expression !== at && /^(?:plural|pluralWord)$/.test(parent.expression.getText(file))) return true;
          if (parent.expression !== at && QUIET_CALLS.test(parent.expression.getText(file))) return true;
          break;
        case K.BinaryExpression:
          if ([K.EqualsEqualsEqualsToken, K.ExclamationEqualsEqualsToken, K.InKeyword].includes(parent.operatorToken.kind)) return true;
          break;
        case K.PropertyAssignment:
          if (parent.name === at || /^(?:class|href|icon|kind|group|"aria-keyshortcuts")$/.test(parent.name.getText(file))) return true;
          break;
        case K.ElementAccessExpression:
          if (parent.argumentExpression === at) return true;
          break;
        case K.ArrowFunction:
        case K.Block:
        case K.SourceFile:
          return false;
      }
    }
    return false;
  }

  (function visit(node) {
    switch (node.kind) {
      case K.TaggedTemplateExpression:
        if (/^(?:t|tElements)$/.test(node.tag.getText(file))) {
          const key = textOf(node.template);
          note(key, key, node);
        }
        break;
      case K.CallExpression:
        if (/^(?:plural|pluralWord)$/.test(node.expression.getText(file))) forms(node);
        break;
      case K.JsxText: {
        const tag = node.parent.openingElement?.tagName.getText(file);
        if (letters(node.text) && !TYPED.has(tag) && !NAMES.has(node.text.trim())) say(node, NO_MESSAGE);
        break;
      }
      case K.JsxExpression:
        if (
          (node.parent.kind === K.JsxElement || node.parent.kind === K.JsxFragment) &&
          !TYPED.has(node.parent.openingElement?.tagName.getText(file))
        )
          shown(node);
        break;
      case K.JsxAttribute: {
        const tag = node.parent.parent.tagName.getText(file);
        const attribute = node.name.getText(file);
        if (/^[a-z]/.test(tag) ? SHOWN.has(attribute) : !hidden(tag, attribute)) shown(node.initializer);
        break;
      }
      case K.StringLiteral:
      case K.NoSubstitutionTemplateLiteral:
      case K.TemplateExpression:
        if (
          reads(textOf(node)) &&
          !NAMES.has(
            textOf(node)
              .replaceAll(/\{\d\}/g, " ")
              .trim(),
          ) &&
          !CODE.test(textOf(node)) &&
          !used.has(node) &&
          !quiet(node) &&
          !chosen(node)
        )
          say(node, "looks like a message but does not go through i18n.ts");
        break;
    }
    node.forEachChild(visit);
  })(file);
}

if (process.argv.includes("--write")) {
  const target = path.resolve(process.argv[process.argv.indexOf("--write") + 1] ?? path.join(folder, "en.json"));
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, `${JSON.stringify(Object.fromEntries([...messages].sort(([a], [b]) => (a < b ? -1 : 1))), null, 1)}\n`);
}

const places = (words) => JSON.stringify([...new Set(String(words).match(/\{\w+\}/g))].sort());
const languages = fs.existsSync(folder) ? fs.readdirSync(folder).filter((one) => one.endsWith(".json") && one !== "en.json") : [];
for (const language of languages) {
  for (const [key, words] of Object.entries(JSON.parse(fs.readFileSync(path.join(folder, language), "utf8")))) {
    if (!messages.has(key)) faults.push(`words/${language}: the page has no message ${JSON.stringify(key)}`);
    else if (typeof words === "string" && places(words) !== places(key))
      faults.push(`words/${language}: the placeholders differ from those in ${JSON.stringify(key)}`);
    else if (typeof words !== typeof messages.get(key))
      faults.push(`words/${language}: the page has another number of plural forms of ${JSON.stringify(key)}`);
  }
}
for (const fault of faults) console.error(fault);
console.log(`${messages.size} messages in ${read.size} files`);
process.exit(faults.length ? 1 : 0);
