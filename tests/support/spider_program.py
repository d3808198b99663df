"""Spider without a package manager: querying the machine's takes seconds of processor time at each start.

Its own tests, those on lab hosts and `test_a_machine_with_a_package_manager_reports_its_updates` query real ones.
"""

from __future__ import annotations

from spider import __main__ as program
from spider.packages.query_process import SeparateQuery
from spider.sampling import measurement


class NoManager(SeparateQuery):
    """A host without a package manager."""

    def available_updates(self) -> None:
        return None


if __name__ == "__main__":
    measurement.__dict__["SeparateQuery"] = NoManager
    program.main()
