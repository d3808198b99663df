"""The entry point of the bundle: runs the agent, or root's launcher or runner."""

import os
import sys
from importlib import import_module
from typing import Dict, List, NoReturn, Optional

from spider.version import VERSION

PROGRAMS: Dict[str, str] = {
    "launch": "spider.root.launcher.main",
    "listen": "spider.root.systemctl_shim.main",
    "run": "spider.root.runner.main",
    "rollback": "spider.selfcare.self_update.main",
    "uninstall": "spider.selfcare.uninstall.main",
    "keys": "spider.selfcare.rekey.main",
    "orders": "spider.root.launcher.orders",
    "event": "spider.reports.event_command.main",
    "status": "spider.selfcare.uninstall.status",
}
"""First word of the command line → program. Each program loads only its own modules."""


def main(argv: Optional[List[str]] = None) -> NoReturn:
    """Run one of the programs and end the process with its exit status."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] and words[0] in PROGRAMS:
        module, _, function = PROGRAMS[words[0]].rpartition(".")
        sys.exit(getattr(import_module(module), function)(words[1:]))
    if words in (["--version"], ["-V"]):
        sys.stdout.write(f"spider {VERSION}\n")
        sys.exit(0)
    _agent(words)


def _agent(words: List[str]) -> NoReturn:
    import asyncio  # noqa: PLC0415

    from spider import logs  # noqa: PLC0415
    from spider.config import EXIT_CONFIG, USAGE, Config, ConfigError  # noqa: PLC0415

    if words in (["--help"], ["-h"]):
        sys.stdout.write(USAGE)
        sys.exit(0)
    try:
        config = Config.from_env(os.environ, words)
    except ConfigError as error:
        sys.stderr.write("".join(f"spider: {fault}\n" for fault in error.faults))
        sys.exit(EXIT_CONFIG)
    from spider.agent import run_agent  # noqa: PLC0415

    logs.set_up()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    status = loop.run_until_complete(run_agent(config))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a name look-up that hangs in its thread must not keep the process alive


if __name__ == "__main__":
    main()
