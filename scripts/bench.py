"""The benchmarks by name; `scripts/bench` prepares what they need."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

from scripts.bench_deploy import first_second
from scripts.bench_frames import frame_cpu
from scripts.bench_spider import spider_cpu_and_rss

SPIDER_SECONDS = 30

Results = list[dict[str, object]]


def spider() -> Results:
    """The agent beside prometheus-node-exporter."""
    return spider_cpu_and_rss(SPIDER_SECONDS)


BENCHES: dict[str, Callable[[], Results]] = {
    "spider": spider,
    "hub.frame_cpu": lambda: asyncio.run(frame_cpu()),
    "deploy.first_second": first_second,
}


def main() -> int:
    """Run what is named, or everything."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"scripts/bench: no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    for name in names:
        for line in BENCHES[name]():
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
