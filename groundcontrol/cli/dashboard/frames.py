"""The lines of each view, as pure functions of the state and the size. A line is a list of pieces: text and the name of its style."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from groundcontrol.cli.client import shown
from groundcontrol.cli.dashboard.state import MOST_TILES, Fleet, memory_percent, value
from groundcontrol.cli.formatting import age, health_word
from groundcontrol.cli.terminal import AnsiFilter

Line = list[tuple[str, str]]
NOT_MEASURED: Final = "-"
WARN_PERCENT: Final = 70.0
CRITICAL_PERCENT: Final = 90.0
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_NAME: Final = 14
_CORE: Final = "cpu.core{core="
_FOOT: Final = " q quit  ? help  ↑↓ move  ⏎ node  / filter  s sort  u upgrade  l jobs  e events"
HELP: Final = (
    "↑ ↓ PgUp PgDn  move           ⏎  one node          Esc  back",
    "/  filter: part of a name, tag:x, state:x, health:x",
    "s  sort: worst, cpu, memory, updates, name (offline and failed ones stay first)",
    "u  upgrade the selected node (asks)",
    "l  open jobs side by side      e  alerts and events  q  quit",
)


def percent_style(percent: float | None) -> str:
    """Colour only where a value is high: bars in three colours everywhere are loud."""
    if percent is None:
        return "dim"
    return "critical" if percent >= CRITICAL_PERCENT else "warning" if percent >= WARN_PERCENT else ""


def percent_text(percent: float | None) -> str:
    """A percentage in three cells."""
    return f"{NOT_MEASURED:>3}" if percent is None else f"{percent:3.0f}"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Percentages as blocks; a value that is not measured is a space."""
    last = list(values)[-width:]
    text = "".join(" " if one is None else _BLOCKS[min(7, int(one / 12.5))] for one in last)
    return text.rjust(width)


def bar(percent: float | None, width: int) -> str:
    """A percentage as a bar."""
    return " " * width if percent is None else ("█" * round(width * min(percent, 100.0) / 100)).ljust(width)


def size_text(number: float | None) -> str:
    """A number of bytes in at most five cells."""
    if number is None:
        return f"{NOT_MEASURED:>5}"
    for unit in ("", "K", "M", "G", "T"):
        if number < 1000:
            return f"{number:4.0f}{unit or 'B'}"
        number /= 1024
    return f"{number:4.0f}P"


def fit(text: str, width: int) -> str:
    """Text of a node in exactly this many cells, without control characters."""
    plain = shown(text)
    return plain.ljust(width) if len(plain) <= width else plain[: width - 1] + "…"


def cut(line: Line, width: int) -> Line:
    """The line in at most this many cells, so that it never wraps."""
    left, pieces = width, []
    for text, style in line:
        if left <= 0:
            break
        pieces.append((text[:left], style))
        left -= len(text)
    return pieces


def head(fleet: Fleet, words: str, width: int) -> Line:
    """The first line: the fleet in numbers."""
    if fleet.answered_at is None:
        return [(f" Stardust  {fleet.trouble or 'connecting …'}", "warning" if fleet.trouble else "dim")]
    nodes = fleet.nodes.values()
    online = sum(node["state"] == "online" for node in nodes)
    counts = [node["updates"]["security"] for node in nodes]
    known = [count for count in counts if count is not None]
    security = f"{sum(known)}{'+' if len(known) < len(counts) else ''}" if known or not counts else NOT_MEASURED
    updates = "security updates" if width >= 100 else "security"
    text = (
        f" Stardust  {online} ● {len(fleet.nodes) - online} ○   {security} {updates}   {len(fleet.jobs)} jobs   alerts {len(fleet.alerts)}"
    )
    line: Line = [(text, "bold"), (f"   hub {fleet.ask_ms:.0f} ms   {time.strftime('%H:%M:%S')}", "dim")]
    if fleet.trouble:
        line = [(f" Stardust  as of {age(fleet.answered_at)}: {shown(fleet.trouble)}", "warning")]
    if words:
        line.append((f"   filter: {words}", "warning"))
    return cut(line, width)


def titles(width: int) -> Line:
    """The titles of the columns that fit."""
    spark, wide = max(0, min(20, width - 72)), width >= 110
    text = f"   {'NODE':{_NAME}} {'CPU'.ljust(spark) + ' ' if spark else ''}CPU% {'MEM'.ljust(8) + ' ' if wide else ''}MEM%   LOAD"
    return [(f"{text}{'  NET ↓  NET ↑' if width >= 100 else ''}  UPDATES    STATE", "dim")]


def row(fleet: Fleet, node: Any, width: int, *, selected: bool) -> Line:
    """The line of a node. What is not measured is `-`, never 0."""
    mark = "▌" if selected else " "
    job = fleet.job_of(node["id"])
    if node["state"] != "online":
        state = "waits for approval" if node["waiting"] else f"{node['state']}, seen {age(node['last_seen_at'])}"
        return cut([(f"{mark}○ {fit(node['name'], _NAME)} ", "critical"), (state, "dim")], width)
    cpu, memory, load = value(node, "cpu.total"), memory_percent(node), value(node, "load.1")
    spark, wide = max(0, min(20, width - 72)), width >= 110
    updates, security = node["updates"]["total"], node["updates"]["security"]
    pending = NOT_MEASURED if updates is None else "·" if updates == 0 else f"{updates}{f' +{security} sec' if security else ''}"
    level = node["health"]["level"]
    what = f"{job['action']} {'' if job['progress_percent'] is None else str(job['progress_percent']) + ' %'}" if job else health_word(node)
    line: Line = [(f"{mark}● {fit(node['name'], _NAME)} ", "bold" if selected else "")]
    if spark:
        line.append((sparkline(fleet.cpu.get(node["id"], ()), spark) + " ", percent_style(cpu)))
    line.append((f" {percent_text(cpu)} ", percent_style(cpu)))
    if wide:
        line.append((bar(memory, 8) + " ", percent_style(memory)))
    line.append((f" {percent_text(memory)} ", percent_style(memory)))
    line.append((f"{NOT_MEASURED if load is None else format(load, '.2f'):>7}", ""))
    if width >= 100:
        line.append((f"  {size_text(value(node, 'network.received'))}  {size_text(value(node, 'network.sent'))}", ""))
    line.append((f"  {pending:10}", "warning" if security else ""))
    line.append((f" {shown(what)}", level if level in ("critical", "warning") and not job else ""))
    return cut(line, width)


def fleet_lines(fleet: Fleet, nodes: list[Any], selected: int, width: int, height: int) -> list[Line]:
    """The list of nodes, scrolled so that the selected one is in it."""
    room = max(1, height - 3)
    top = max(0, min(selected - room // 2, len(nodes) - room))
    lines = [titles(width)]
    lines += [row(fleet, node, width, selected=at == selected) for at, node in enumerate(nodes[top : top + room], top)]
    if not nodes and fleet.answered_at is not None:
        lines.append([("   no node" if not fleet.nodes else "   no node matches the filter", "dim")])
    return lines


def node_lines(fleet: Fleet, node: Any, width: int, height: int) -> list[Line]:
    """One node: what it is, its findings, its values and its events."""
    identity = node["identity"]
    lines: list[Line] = [
        [(f" {shown(node['name'])}", "bold"), (f"  {shown(identity['os_name'] or NOT_MEASURED)}  {shown(identity['kernel'])}", ""),
         (f"  {identity['cpu_cores'] or NOT_MEASURED} cores  Spider {node['agent_version'] or NOT_MEASURED}", "dim"),
         (f"  {node['state']}, {age(node['last_seen_at'])}", "" if node["state"] == "online" else "critical")],
        [],
        [(f" cpu    {percent_text(value(node, 'cpu.total'))} %  ", percent_style(value(node, "cpu.total"))),
         (sparkline(fleet.cpu.get(node["id"], ()), min(20, max(1, width - 20))), "")],
        *core_lines(node, width),
        [(f" memory {percent_text(memory_percent(node))} %  {bar(memory_percent(node), min(20, max(1, width - 20)))}", percent_style(memory_percent(node)))],
        [],
    ]  # fmt: skip
    lines += [[(f" ▲ {finding['level']}: {shown(finding['cause'])}", finding["level"])] for finding in node["health"]["findings"]]
    shown_above = ("cpu.total", "memory.used", "memory.total")
    names = sorted(name for name in node["latest"] if name not in shown_above and not name.startswith(_CORE))
    room = max(0, height - len(lines) - 8)
    lines += [[(f" {name:32.32} ", "dim"), (f"{number_of(value(node, name)):>14}", "")] for name in names[:room]]
    lines.append([])
    events = [event for event in fleet.events if event.get("node_id") == node["id"]]
    lines += [event_line(event) for event in events[:5]]
    return [cut(line, width) for line in lines]


def core_lines(node: Any, width: int) -> list[Line]:
    """Each core as its number and a block, as many in a line as fit; a core that is not measured is a dash."""
    cores = sorted((int(name[len(_CORE) : -1]), value(node, name)) for name in node["latest"] if _is_core(name))
    texts = [f"{number} {NOT_MEASURED if load is None else _BLOCKS[min(7, int(load / 12.5))]}" for number, load in cores]
    lines: list[Line] = []
    text = " cores "
    for one in texts:
        if len(text) + len(one) + 1 > width:
            lines.append([(text, "")])
            text = "       "
        text += f" {one}"
    return [*lines, [(text, "")]] if texts else []


def _is_core(name: str) -> bool:
    return name.startswith(_CORE) and name[len(_CORE) : -1].isdecimal()


def number_of(number: float | None) -> str:
    """A value of any series."""
    return NOT_MEASURED if number is None else f"{number:,.2f}".removesuffix(".00")


def event_line(event: Any) -> Line:
    """One event."""
    style = {"error": "critical", "warning": "warning"}.get(event["severity"], "")
    return [(f" {time.strftime('%H:%M:%S', time.localtime(event['at']))} ", "dim"), (shown(event["message"]), style)]


def event_lines(fleet: Fleet, width: int, height: int) -> list[Line]:
    """Alerts that fire, the worst first, then events, newest first."""
    lines: list[Line] = [[(f" {len(fleet.alerts)} alerts", "bold")]]
    for alert in fleet.alerts[: max(3, height // 2)]:
        name = fleet.nodes.get(alert["node_id"] or "", {}).get("name", "hub")
        about = shown(f"{alert['rule_name']} {alert['object']}".strip())
        lines.append([(f" ▲ {shown(name)}: {about}, {age(alert['since_at'])}", str(alert["level"]))])
    lines += [[], [(" events", "bold")], *(event_line(event) for event in fleet.events)]
    return [cut(line, width) for line in lines[: height - 2]]


def job_lines(fleet: Fleet, width: int, height: int) -> list[Line]:
    """Open jobs side by side: up to four tiles with the end of their output."""
    jobs = fleet.jobs[:MOST_TILES]
    if not jobs:
        return [[("   no job is open", "dim")]]
    across = 2 if len(jobs) > 1 and width >= 80 else 1
    down = -(-len(jobs) // across)
    tile_width, tile_height = (width - (across - 1)) // across, max(2, (height - 2) // down)
    tiles = [_tile(fleet, job, tile_width, tile_height) for job in jobs]
    lines: list[Line] = []
    for at in range(0, len(tiles), across):
        beside = tiles[at : at + across]
        for number in range(tile_height):
            line: Line = []
            for tile in beside:
                line += [*([("│", "dim")] if line else []), tile[number]]
            lines.append(cut(line, width))
    return lines


def _tile(fleet: Fleet, job: Any, width: int, height: int) -> list[tuple[str, str]]:
    name = fleet.nodes.get(job["node_id"], {}).get("name", job["node_id"])
    percent = "" if job["progress_percent"] is None else f" {job['progress_percent']} %"
    text = AnsiFilter().feed(fleet.outputs.get(job["id"], b""))
    output = [shown(line.rpartition("\r")[2]) for line in text.replace("\r\n", "\n").splitlines()][-(height - 1) :]
    cells = [(fit(f" {name}: {job['action']} {job['phase'] or job['state']}{percent}", width), "bold")]
    return cells + [(fit(line, width), "") for line in output] + [(" " * width, "")] * (height - 1 - len(output))


def once(fleet: Fleet, width: int) -> str:
    """One frame of the whole fleet as plain text."""
    nodes = fleet.rows("")
    lines = [head(fleet, "", width), *fleet_lines(fleet, nodes, -1, width, len(nodes) + 3)]
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def foot(asks: str, width: int) -> Line:
    """The last line: the keys, or a question."""
    return cut([(asks or _FOOT, "warning" if asks else "dim")], width)
