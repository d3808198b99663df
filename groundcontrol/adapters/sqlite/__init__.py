"""The store on SQLite: two files, each with one writing connection."""

from groundcontrol.adapters.sqlite.database import CONTROL_NAME, Database, open_database
from groundcontrol.adapters.sqlite.engine.writer import WriterStats

__all__ = ["CONTROL_NAME", "Database", "WriterStats", "open_database"]
