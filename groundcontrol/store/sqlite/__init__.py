"""The store on SQLite: two files, one writing connection each."""

from groundcontrol.store.sqlite.database import CONTROL_NAME, Database, open_database
from groundcontrol.store.sqlite.writer import WriterStats

__all__ = ["CONTROL_NAME", "Database", "WriterStats", "open_database"]
