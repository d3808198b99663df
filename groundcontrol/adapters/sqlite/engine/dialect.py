"""What differs between the SQL of SQLite and that of PostgreSQL. All statements of the control database are written for both.

`?` and `?1` mark values. JSON is text, and only these functions of SQLite read it: `json_valid(text)`, `json_extract(text, path)` and
`json_each(text)` of a list. A database of PostgreSQL gets them under the same names. Everything else is common: `ON CONFLICT` and no
`INSERT OR`, no `min` or `max` of several values, `version` in the WHERE of each save, comparisons with 0 and 1 instead of bare numbers as
conditions, `CAST(? AS TEXT) IS NULL`.
"""

from __future__ import annotations

import re
from typing import Final

POSTGRES_FUNCTIONS: Final = """
CREATE FUNCTION json_valid(body text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM body::json; RETURN true; EXCEPTION WHEN others THEN RETURN false; END $$;
CREATE FUNCTION json_extract(body text, path text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT jsonb_path_query_first(body::jsonb, path::jsonpath) #>> '{}' $$;
CREATE FUNCTION json_each(body text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE AS $$
SELECT json_array_elements_text(body::json) $$;
"""
"""The functions of SQLite that statements use, for a database of PostgreSQL."""
_PLUS: Final = re.compile(r"(?<= AND )\+(?=[a-z])")
"""Before a column, it keeps SQLite from using an index of it."""
_QUOTED_OR_MARK: Final = re.compile(r"'[^']*'|\?(\d*)")


def to_postgres(sql: str) -> str:
    """The statement with `$1` instead of the first `?` or of `?1`."""
    count = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal count
        if found.group().startswith("'"):
            return found.group()
        count += 1
        return f"${found.group(1) or count}"

    return _QUOTED_OR_MARK.sub(numbered, _PLUS.sub("", sql))
