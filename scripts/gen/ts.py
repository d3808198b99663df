#!/usr/bin/env python3
"""Writes capsule/src/wire/schema.gen.ts from the hub's `views.py` modules, its routes, the metric catalogue and the error codes,
capsule/src/core/jobs/verbs.gen.ts and verb-titles.gen.ts from the catalogue of verbs,
capsule/src/core/events/event-types.gen.ts from the catalogue of events,
and capsule/src/core/alerts/delivery-reasons.gen.ts from the reasons why a message waits or is not sent.

scripts/gen/ts.py           write the files
scripts/gen/ts.py --check   change nothing; exit 1 if a file is not current
"""

from __future__ import annotations

import ast
import importlib
import itertools
import json
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "capsule" / "src"
sys.path.insert(0, str(ROOT))

from groundcontrol.core import errors, verbs  # noqa: E402
from groundcontrol.events import catalogue  # noqa: E402
from groundcontrol.nodes import summary  # noqa: E402
from groundcontrol.notifications.explaining import DEFERRED_TEXTS, SKIPPED_TEXTS  # noqa: E402  # the checkout is put on the path first
from groundcontrol.slices import ROUTES  # noqa: E402  # it also imports the errors of each slice
from groundcontrol.web.answer import Answer, Body  # noqa: E402
from scripts.gen import target  # noqa: E402
from spider.wire import metrics, tables  # noqa: E402
from spider.wire.arg_kinds import ARG_KINDS, PACKAGES, UNITS  # noqa: E402
from spider.wire.sentences import SENTENCES  # noqa: E402
from spider.wire.verbs import POLICY_LINES, READONLY, VERBS  # noqa: E402

HEAD = """// Made by scripts/gen/ts.py from the hub's `views.py` modules: never edited by hand.
"""

SCALARS: dict[object, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    bytes: "Uint8Array",
    object: "unknown",
    type(None): "null",
}

EVENTS_HEAD = """// Made by scripts/gen/ts.py from groundcontrol/events/catalogue.py: never edited by hand.

import { t } from "../text/i18n";

type Words = (field: (name: string) => string) => string;

export const EVENT_TYPES: Readonly<Record<string, readonly [group: string, words?: Words]>> = {
"""
REASONS_HEAD = """// Made by scripts/gen/ts.py from groundcontrol/notifications/explaining.py: never edited by hand.

import { t } from "../text/i18n";

/** Why a message waits or is not sent. */
export const DELIVERY_REASONS: Readonly<Record<string, string>> = {
"""
VERBS_HEAD = """// Made by scripts/gen/ts.py from spider/wire/verbs.py and groundcontrol/core/verbs.py: never edited by hand.

import { t } from "../text/i18n";

"""

ARG_KINDS_HEAD = """// Made by scripts/gen/ts.py from spider/wire/arg_kinds.py: never edited by hand.

/** What jobs name: the field of a job, whether it has one name or a list, the line of policy.conf that must list the names (empty: none),
 * and the first version of that file that may have this line. */
export const ARG_KINDS = [
"""

VERB = """/** One verb of a job. */
export interface Verb {
  /** In a node's menu, if not the title. */
  menu?: string;
  hint?: string;
  /** On the button that starts it. */
  start?: string;
  /** What is good to know before it starts. */
  before?: string;
  /** Another word that finds it. */
  also?: string;
  /** It changes nothing that is installed. */
  readonly?: true;
  /** It removes or reboots. */
  dangerous?: true;
  /** A plan can be made and shown before. */
  planned?: true;
  upgrades?: true;
  /** It maintains the agent, and is not ordered as a job. */
  selfcare?: true;
  packages?: "optional" | "needed";
}

"""

LIVE = """/** What the page sends on the live socket, as MessagePack `[kind, body]`. */
export type LiveRequest =
  | ["subscribe", SubscribeBody]
  | ["unsubscribe", UnsubscribeBody]
  | ["ping", Nothing];

/** What the hub sends on the live socket. */
export type LiveMessage =
  | ["hello", LiveHello]
  | ["snapshot", TopicMessage]
  | ["change", TopicMessage]
  | ["gap", GapMessage]
  | ["rights", Nothing]
  | ["error", ErrorMessage]
  | ["pong", Nothing];
"""


def render(hint: object) -> str:
    """Write a Python type as TypeScript.

    Raises: ValueError: the schema uses a type that has no translation yet.
    """
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    if hint in SCALARS:
        return SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(render(part) for part in arguments if part is not msgspec.UnsetType)  # an unset field is left out
    if origin is typing.Literal:
        return " | ".join(json.dumps(value) for value in arguments)
    if origin is list:
        item = render(arguments[0])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if origin is dict and arguments[0] is str:
        return f"Record<string, {render(arguments[1])}>"
    raise ValueError(f"no TypeScript for {hint!r}")


def comment(text: str | None, indent: str = "") -> str:
    """Write a docstring as a JSDoc comment. Returns: the comment; empty if there is no docstring."""
    if not text:
        return ""
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"


def field_docs(source: str) -> dict[tuple[str, str], str]:
    """The docstring below each field, by (class, field)."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, below in itertools.pairwise(node.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                found[node.name, field.target.id] = typing.cast("str", ast.literal_eval(below.value))
    return found


def sources() -> list[Path]:
    """The modules with messages: `views.py`, `*_views.py` and `web/answer.py` of the hub."""
    hub = ROOT / "groundcontrol"
    return [hub / "web/answer.py", *sorted(path for path in hub.rglob("*views.py"))]


def structs() -> list[type[msgspec.Struct]]:
    """Every message, sorted by name. Raises: ValueError: two messages have one name."""
    found: dict[str, type[msgspec.Struct]] = {}
    for path in sources():
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, (Body, Answer)) and value not in (Body, Answer) and name[0] != "_":
                known = found.setdefault(name, value)
                if known is not value:
                    raise ValueError(f"two messages have the name {name}")
    return [found[name] for name in sorted(found)]


def interface(struct: type[msgspec.Struct], docs: dict[tuple[str, str], str]) -> str:
    """The TypeScript interface of one message. A field that a client may leave out is optional; the hub always sends all its fields."""
    hints = typing.get_type_hints(struct)
    own_doc = struct.__doc__ if "__doc__" in vars(struct) else None
    lines = [comment(own_doc) + f"export interface {struct.__name__} {{"]
    for info in msgspec.structs.fields(struct):
        optional = "?" if issubclass(struct, Body) and not info.required else ""
        said = next((text for base in struct.__mro__ if (text := docs.get((base.__name__, info.name)))), None)
        doc = comment(said, "  ")
        lines.append(f"{doc}  {info.encode_name}{optional}: {render(hints[info.name])};")
    if len(lines) == 1:
        name = struct.__name__
        return comment(own_doc) + f"export type {name} = Record<string, never>;\n"
    return "\n".join(lines) + "\n}\n"


def routes() -> str:
    """What each route takes and answers. In a path, `*` stands for a part that differs from call to call."""
    rows = []
    for route in ROUTES:
        path = re.sub(r"\{[a-z_]+\}", "*", route.path.removeprefix("/"))
        body, answer = (kind.__name__ if kind else "undefined" for kind in (route.body, route.answer))
        rows.append(f'  "{route.method} {path}": [takes: {body}, answers: {answer}];\n')
    return f"/** What each route takes and answers, by method and path; `*` is a part that differs from call to call. */\nexport interface Routes {{\n{''.join(sorted(rows))}}}\n"


def error_codes() -> list[str]:
    """Every public error code, sorted."""

    def walk(kind: type[errors.HubError]) -> Iterator[str]:
        yield kind.code
        for below in kind.__subclasses__():
            yield from walk(below)

    return sorted(set(walk(errors.HubError)))


def constants() -> str:
    """The catalogue of metrics, the columns of tables, the sentences of agents, the series of summaries and the error codes."""
    rows = "".join(
        "  "
        + json.dumps(
            {
                "name": metric.name,
                "unit": metric.unit,
                "rhythm": metrics.INTERVAL_S[metric.family],
                "kind": metric.kind,
                "labels": list(metric.labels),
            }
        )
        + ",\n"
        for metric in metrics.CATALOGUE
    )
    parts = ['/** Every metric there is. */\nexport const METRICS: readonly Omit<MetricView, "derived">[] = [\n' + rows + "];\n"]
    columns = sorted({column.name for subject in tables.SUBJECTS for column in subject.columns})
    parts.append(f"/** Every column of a table of a node, by name. */\nexport const COLUMNS: readonly string[] = {json.dumps(columns)};\n")
    sentences = json.dumps(list(SENTENCES.values()), ensure_ascii=False)
    parts.append(
        f"/** Every sentence that an agent writes about a job, with `{{name}}` where a fact belongs. */\nexport const SENTENCES: readonly string[] = {sentences};\n"
    )
    names = "".join(f"\n  | {json.dumps(metric.name)}" for metric in metrics.CATALOGUE)
    parts.append(f"export type MetricName ={names};\n")
    for node, below in itertools.pairwise(ast.parse(Path(summary.__file__).read_text(encoding="utf-8")).body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id.startswith("SUMMARY_"):
            name = node.target.id
            doc = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else None
            parts.append(comment(doc) + f"export const {name} = {json.dumps(list(getattr(summary, name)))} as const;\n")
    codes = "".join(f"\n  | {json.dumps(code)}" for code in error_codes())
    parts.append(f"/** `code` of a Problem and of an ErrorMessage. */\nexport type ErrorCode ={codes};\n")
    return "\n".join(parts)


def verb_titles() -> str:
    """The file of all verbs' titles. It is a separate file, since the page's first view needs only the titles."""
    rows = "".join(f"  {json.dumps(name)}: t`{verbs.HUB_VERBS[name].title}`,\n" for name in VERBS)
    return f"{VERBS_HEAD}export const ACTION_LABELS: Readonly<Record<string, string>> = {{\n{rows}}};\n"


def verb_rows() -> str:
    """The other properties of each verb in a node's menu, in its order. False properties are left out, and so are verbs whose
    names the policy lists: they are not in this menu."""
    rows = []
    for name, words in verbs.HUB_VERBS.items():
        verb = VERBS[name]
        if verb.kind is not None and verb.kind.line:
            continue
        facts = {
            "readonly": verb.policy == READONLY, "dangerous": words.dangerous, "planned": verb.planned, "upgrades": verb.upgrades, "selfcare": verb.selfcare,
        }  # fmt: skip
        parts = [
            f"{field}: t`{value}`" for field, value in words._asdict().items() if isinstance(value, str) and value and field != "title"
        ]
        parts += [f"{fact}: true" for fact, holds in facts.items() if holds]
        parts += [f"packages: {json.dumps('optional' if verb.optional else 'needed')}"] if verb.kind is PACKAGES else []
        rows.append(f"  {json.dumps(name)}: {{ {', '.join(parts)} }},\n")
    planned = " | ".join(map(json.dumps, verbs.PLANNED))
    return f"{VERBS_HEAD}{VERB}export type PlannedVerb = {planned};\n\nexport const VERBS: Readonly<Record<string, Verb>> = {{\n{''.join(rows)}}};\n"


def arg_kinds() -> str:
    """The rows of the kinds of arguments, without what only the page of units needs."""
    rows = []
    for kind in ARG_KINDS:
        fields = {"name": kind.name, "single": kind.single, "line": kind.line, "version": POLICY_LINES[kind.line][1] if kind.line else 1}
        rows.append(f"  {{ {', '.join(f'{field}: {json.dumps(value)}' for field, value in fields.items())} }},\n")
    protected = f"/** Units that no policy allows. */\nexport const PROTECTED_UNITS = /^{UNITS.protected}$/;\n"
    only = f"/** Units that a pattern (*) of the policy never stands for. */\nexport const ONLY_BY_NAME = /^{UNITS.only_by_name}$/;\n"
    most = f"/** The most units of one job. */\nexport const MAX_UNITS = {UNITS.most};\n"
    return f"{ARG_KINDS_HEAD}{''.join(rows)}] as const;\n\n{protected}\n{only}\n{most}"


def event_types() -> str:
    """Group and text of each type of event. Events of programs have no text here, because programs send their own."""
    rows = []
    for row in catalogue.ROWS:
        fields = iter(re.split(r"\{([a-z_]+)\}", row.text))
        text = "".join(part + (f'${{f("{field}")}}' if (field := next(fields, "")) else "") for part in fields)
        words = "" if row.group == "report" else f", ({'f' if '{' in row.text else ''}) => t`{text}`"
        rows.append(f"  {json.dumps(row.name)}: [{json.dumps(row.group)}{words}],\n")
    groups = "".join(f"  {{ key: {json.dumps(key)}, label: t`{label}` }},\n" for key, label in catalogue.GROUPS.items())
    return f"{EVENTS_HEAD}{''.join(rows)}}};\n\nexport const EVENT_GROUPS: readonly {{ key: string; label: string }}[] = [\n{groups}];\n"


def delivery_reasons() -> str:
    """The file of the texts of the reasons, by code."""
    return REASONS_HEAD + "".join(f"  {code}: t`{text}`,\n" for code, text in (SKIPPED_TEXTS | DEFERRED_TEXTS).items()) + "};\n"


def generate() -> dict[Path, str]:
    """Path -> whole text of each generated file."""
    docs = {key: text for path in sources() for key, text in field_docs(path.read_text(encoding="utf-8")).items()}
    messages = "\n".join([HEAD, *(interface(struct, docs) for struct in structs()), routes(), LIVE, constants()])
    return {
        SOURCES / "wire/schema.gen.ts": messages,
        SOURCES / "core/jobs/verb-titles.gen.ts": verb_titles(),
        SOURCES / "core/jobs/verbs.gen.ts": verb_rows(),
        SOURCES / "core/jobs/arg-kinds.gen.ts": arg_kinds(),
        SOURCES / "core/events/event-types.gen.ts": event_types(),
        SOURCES / "core/alerts/delivery-reasons.gen.ts": delivery_reasons(),
    }


if __name__ == "__main__":
    raise SystemExit(target.main(generate(), "scripts/gen/ts.py", __doc__))
