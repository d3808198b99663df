"""Every setting of the hub in one table. `--help`, docs/settings.md and the flags are made from it."""

from __future__ import annotations

import argparse
from typing import Final, Literal, NamedTuple, NoReturn

from groundcontrol.access.model import TOTP_RULES
from groundcontrol.core.errors import ConfigError
from groundcontrol.lan import FIND


class Setting(NamedTuple):
    """One setting: its sources, its default and its purpose."""

    name: str
    kind: Literal["text", "port", "count", "address", "addresses", "path", "choice", "networks", "receivers", "url", "secret"]
    default: str
    help: str
    flags: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def env(self) -> str:
        return "STARDUST_" + self.name.upper()


SETTINGS: Final = (
    Setting("port", "port", "8933", "TCP port to listen on; 0 = any free one", ("--port",)),
    Setting("bind", "address", "127.0.0.1", "IP address to listen on", ("--bind",)),
    Setting("data_dir", "path", ".stardust", "folder of all stored data (mode 0700)", ("--data-dir",)),
    Setting("db", "path", "", "control database; samples are in the same folder (default: stardust.db in the data folder)", ("--db",)),
    Setting(
        "allow_volatile",
        "choice",
        "no",
        "yes = start although the data folder is in memory (tmpfs), so that the next reboot deletes it",
        (),
        ("no", "yes"),
    ),
    Setting("agent_bundle", "path", "", "Spider bundle to deploy instead of the one shipped", ("--agent-bundle", "--agent-binary")),
    Setting(
        "server_url", "url", "", "address at which nodes reach this hub: wss://host/ws (ws:// to this machine only)", ("--server-url",)
    ),
    Setting(
        "tls_pin",
        "text",
        "",
        "SHA-256 (64 hex digits) of the public key at --server-url, if no authority has signed its certificate: nodes check it;"
        " several, separated by commas, while the key is being replaced",
        ("--tls-pin",),
    ),
    Setting(
        "lan",
        "addresses",
        "",
        "listen on the network and terminate TLS with the hub's own certificate, without --server-url and a proxy; the value is the addresses and"
        " host names of the hub, the first for nodes (`auto`, or the flag alone: found at the first start, and stored)",
        ("--lan",),
    ),
    Setting("log_format", "choice", "auto", "auto = text on a terminal, else JSON", ("--log-format",), ("auto", "json", "text")),
    Setting("trusted_proxies", "networks", "", "addresses or networks of the reverse proxies whose forwarding headers count"),
    Setting(
        "notify_allow",
        "receivers",
        "",
        "receivers of notifications on this machine, as address:port separated by commas (in the file: allow in [notify]);"
        " without it no channel may reach a loopback address",
    ),
    Setting(
        "notify_proxy",
        "url",
        "",
        "HTTP proxy for notifications and the heartbeat, as http://host:port (in the file: proxy in [notify]); mail does not use it",
    ),
    Setting(
        "notify_direct",
        "receivers",
        "",
        "receivers without that proxy: addresses, networks, and domains with their subdomains, separated by commas (in the file: direct)",
    ),
    Setting(
        "locations",
        "text",
        "",
        "locations of nodes by patterns of their names, such as `csb*=cloud, hsb*=home, ms*=work`; the first that matches counts, and only where neither"
        " a user nor the node says it",
    ),
    Setting("jobs_at_once", "count", "20", "how many nodes of an organisation's bulk jobs work at the same time, 1 to 1000"),
    Setting("pack_seconds", "count", "60", "seconds of samples that a node sends together while no page shows it, 1 to 60"),
    Setting("admin_user", "text", "admin", "name of the first admin"),
    Setting(
        "admin_pass",
        "secret",
        "",
        "password of the first admin, at least 12 characters (default: admin, to be changed at the first log-in)",
    ),
    Setting("require_totp", "choice", "none", "who must have a second factor; the settings in the page may require more", (), TOTP_RULES),
    Setting(
        "keep_seconds_hours",
        "count",
        "24",
        "hours for which samples are kept as they were measured, until the settings in the page say otherwise",
    ),
    Setting("keep_minutes_days", "count", "30", "days for which averages, lows and highs of minutes are kept, with the same exception"),
    Setting("keep_hours_days", "count", "400", "days for which averages, lows and highs of hours are kept, with the same exception"),
    Setting(
        "heartbeat_url",
        "secret",
        "",
        "URL of an outside monitor such as healthchecks.io (https:// or http://); the hub requests it every minute while it can alert, so the"
        " monitor notices when the hub stops",
    ),
    Setting("metrics_token", "secret", "", "Bearer token for /metrics, at least 16 characters (default: the token of a log-in)"),
    Setting("secret", "secret", "", "the secret that opens the vault, at least 16 characters (required)"),
)
"""A secret may also come from the file that STARDUST_<NAME>_FILE names, or from the systemd credential with the setting's name."""


def settings_help() -> str:
    """Every setting with its variable and default, for `--help` and the docs."""
    lines = []
    for item in SETTINGS:
        where = ", ".join((*item.flags, item.env, *((item.env + "_FILE",) if item.kind == "secret" else ())))
        default = f" [{item.default}]" if item.default else ""
        lines.append(f"  {where}\n      {item.help}{default}")
    return "\n".join(lines)


def settings_page() -> str:
    """`docs/settings.md`; a test checks that it is current."""
    rows = []
    for item in SETTINGS:
        flags = ", ".join(f"`{flag}`" for flag in item.flags) or "-"
        variables = f"`{item.env}`" + (f", `{item.env}_FILE`" if item.kind == "secret" else "")
        rows.append(f"| {flags} | {variables} | {f'`{item.default}`' if item.default else '-'} | {item.help} |")
    return "\n".join(
        [
            "# Settings of Ground Control",
            "",
            "A flag overrides the environment, the environment overrides `stardust.toml`, and the file overrides the default.",
            "The file is in the data folder, or where `--config` says. It names settings like the environment, without `STARDUST_` and in lower case.",
            "It must not contain secrets.",
            "A secret comes from its variable, from the file that `…_FILE` names, or from a systemd credential (`LoadCredential=secret:…`).",
            "An empty file or credential is an error, even if the secret has a default. An empty variable counts as not set.",
            "A variable whose name resembles a setting is an error too: with `STARDUST_TRUSTED_PROXY`, the intended restriction would not apply.",
            "The hub lists each wrong or unsafe setting on its own line, and exits with 78.",
            "",
            "| flag | environment | default | what for |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


class _Addresses(argparse.Action):
    """The addresses behind the flag; none: the hub finds them."""

    def __call__(self, _parser: argparse.ArgumentParser, names: argparse.Namespace, values: object, _option: str | None = None) -> None:
        words = values if isinstance(values, list) else [values]
        setattr(names, self.dest, ",".join(str(word) for word in words) or FIND)


def add_lan_flag(parser: argparse.ArgumentParser, about: str) -> None:
    """`--lan [ADDRESS ...]`."""
    parser.add_argument("--lan", dest="lan", nargs="*", action=_Addresses, metavar="ADDRESS", help=about, default=None)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see stardust serve --help")


def serve_parser() -> argparse.ArgumentParser:
    """The parser of `stardust serve`. No flag has a default here, so that a missing flag is recognised."""
    parser = _Parser(
        prog="stardust serve",
        description="Run Ground Control, the hub.",
        epilog="settings (flags > environment > stardust.toml > default):\n" + settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for item in SETTINGS:
        if item.kind == "addresses":
            add_lan_flag(parser, item.help)
        elif item.flags:
            parser.add_argument(*item.flags, dest=item.name, metavar=item.name.upper(), help=item.help, default=None)
    parser.add_argument(
        "--json", dest="log_format", action="store_const", const="json", help="log as JSON, and a refused start as one object"
    )
    parser.add_argument("--config", dest="config", metavar="FILE", default=None, help="stardust.toml to read (default: the data folder's)")
    return parser
