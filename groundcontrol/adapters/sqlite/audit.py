"""The audit log: one HMAC chain per hub process and organisation. Each row is written in the transaction of the change that it records.

A chain uses one key from its first row to its last, since the secret changes only while no hub runs. The head of a chain is its
last row. A chain under an earlier key is valid only if the first row of a later chain records the number and hash of the earlier chain's head. So
nobody who learns an old key can change, extend or add a chain. Old rows are packed (`audit_archive.py`), and verified as all others.

The numbers of an organisation's rows say nothing about others. When an organisation is deleted, so are its chains: the row about that names them.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from groundcontrol.adapters.sqlite.audit_archive import StoredRow, misplaced, page, rows_numbered
from groundcontrol.adapters.sqlite.engine.facts import save_fact
from groundcontrol.adapters.sqlite.engine.json_codec import decoded, object_from_json, object_or_damage
from groundcontrol.adapters.sqlite.engine.pagination import BEHIND_ALL
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.errors import StoreDamaged
from groundcontrol.core.scope import DEFAULT_ORG, NO_ORG, Scope, hub_scope
from groundcontrol.core.text import is_visible

_START: Final = bytes(32)
_TEXT_LIMIT: Final = 1000
_SECRET_WORDS: Final = ("password", "passphrase", "secret", "private_key", "token", "sudo", "totp")
"""A value is written as `***` if the name of its key contains one of these."""
_ANCHOR: Final = "audit.anchor"
DELETED: Final = "organisation.delete"
_CLOCK: Final = "clock_accepted"
_clock_mark_decoder: Final = msgspec.json.Decoder(tuple[str, int])


def has_several(rows: Rows) -> bool:
    """Whether there is more than one organisation."""
    return int(rows.fetch_all("SELECT count(*) AS n FROM organisation")[0]["n"]) > 1


def scope_of_hub(tx: Tx, by: Scope) -> Scope:
    """The scope under which a change of the hub itself is logged: the hub's own, while there is one organisation that organisation's."""
    return by._replace(org=NO_ORG) if has_several(tx) else by


class Chain:
    """Appends to this process's chain. The first row of a chain records the heads of earlier chains."""

    def __init__(self, key: bytes, name: str) -> None:
        self._key = key
        self._name = name

    def write(
        self, tx: Tx, scope: Scope, action: str, target: str, detail: Mapping[str, object] | None = None, result: str = "done"
    ) -> None:
        """Append one row: the actor of `scope` did `action` to `target`. `result`: such as `done` or `refused`."""
        if scope.org != DEFAULT_ORG and self._last(tx, DEFAULT_ORG) is None:
            self._begin(tx, DEFAULT_ORG)
        last = self._last(tx, scope.org) or self._begin(tx, scope.org)
        self._append(tx, last["n"] + 1, last["hash"], scope, action, target, detail or {}, result)

    def _last(self, tx: Tx, org: int) -> Row | None:
        return tx.fetch_one("SELECT n, hash FROM audit WHERE chain = ? ORDER BY n DESC LIMIT 1", _chain_of(self._name, org))

    def _begin(self, tx: Tx, org: int) -> Row:
        """Begin this process's chain of an organisation. With that of the instance's own organisation begin all others that have earlier
        rows: a later chain must record the head of each earlier one."""
        with tx.for_the_hub():
            return self._begin_all(tx, org)

    def _begin_all(self, tx: Tx, org: int) -> Row:
        orgs = {org, *(_org_of(chain) for chain in _chains(tx))} if org == DEFAULT_ORG else {org}
        for one in sorted(orgs):
            if self._last(tx, one) is None:
                name = _chain_of(self._name, one)
                self._append(tx, 0, _START, hub_scope(one), _ANCHOR, name, _unrecorded_heads(tx, name, one), "done")
        begun = self._last(tx, org)
        assert begun is not None
        return begun

    def heads(self, tx: Tx, org: int) -> dict[str, object]:
        """The heads of an organisation's chains, for the row about its deletion: chain -> [n, hash in hex]."""
        return {
            chain: [row["n"], row["hash"].hex()]
            for chain in _chains(tx)
            if _org_of(chain) == org
            for row in tx.fetch_all("SELECT n, hash FROM audit WHERE chain = ? ORDER BY n DESC LIMIT 1", chain)
        }

    def _append(
        self, tx: Tx, n: int, prev: bytes, scope: Scope, action: str, target: str, detail: Mapping[str, object], result: str
    ) -> bytes:
        actor = scope.actor
        row = (
            *(_chain_of(self._name, scope.org), n, scope.org, tx.now, plain(actor.id), plain(actor.name), plain(actor.address)),
            *(action, plain(target), result, msgspec.json.encode(_clean(detail), order="sorted").decode()),
        )
        mac = _mac(self._key, prev, row)
        tx.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *row, prev, mac)
        return mac


def _mac(key: bytes, prev: bytes, row: Sequence[object]) -> bytes:
    return hmac.digest(key, prev + msgspec.msgpack.encode(row), hashlib.sha256)


def _chain_of(name: str, org: int) -> str:
    """The chain of an organisation in one process. That of the first organisation has the process's own name."""
    return name if org == DEFAULT_ORG else f"{name}-{org}"


def _org_of(chain: str) -> int:
    number = chain.partition("-")[2]
    return int(number) if number.isdecimal() else DEFAULT_ORG


def _chains(rows: Rows) -> list[str]:
    chains: list[str] = []
    while row := rows.fetch_one("SELECT chain FROM audit WHERE chain > ? ORDER BY chain LIMIT 1", chains[-1] if chains else ""):
        chains.append(row["chain"])
    return chains


def _unrecorded_heads(rows: Rows, except_chain: str = "", org: int | None = None) -> dict[str, object]:
    """The head of each other chain, of one organisation or of all, that no later chain has recorded yet: chain -> [n, hash in hex]."""
    anchored = {(chain, head[0]) for row in rows.fetch_all(_ANCHORS) for chain, head in _anchors_of(row).items()}
    found: dict[str, object] = {}
    for chain in _chains(rows) if org is None else [chain for chain in _chains(rows) if _org_of(chain) == org]:
        for row in rows.fetch_all("SELECT n, hash FROM audit WHERE chain = ? AND chain <> ? ORDER BY n DESC LIMIT 1", chain, except_chain):
            if (chain, row["n"]) not in anchored:
                found[chain] = [row["n"], row["hash"].hex()]
    return found


_ANCHORS: Final = "SELECT chain, detail FROM audit WHERE n = 0"


def _anchors_of(row: Row) -> dict[str, tuple[int, str]]:
    return msgspec.convert(object_from_json(row["detail"]), dict[str, tuple[int, str]])


def chain_heads(rows: Rows) -> list[AuditHead]:
    """The heads that no later chain has recorded yet."""
    found = msgspec.convert(_unrecorded_heads(rows), dict[str, tuple[int, str]])
    return [AuditHead(chain, n, digest) for chain, (n, digest) in found.items()]


def check_heads(rows: Rows, known: Iterable[AuditHead], *, archive: bool = True) -> str | None:
    """Check that the rows that were heads of chains at an earlier time still exist.

    Args:    known: these heads; a head without a chain's name may belong to any chain. archive: as in `page`.
    Returns: None if all exist unchanged; else a text about the first that does not.
    """
    gone = _deleted(rows, archive=archive)
    for head in known:
        if head.chain in gone:
            continue
        found = rows.fetch_all("SELECT hash FROM audit WHERE n = ? AND chain = coalesce(nullif(?, ''), chain)", head.n, head.chain)
        hashes = [row["hash"].hex() for row in found]
        if head.hash not in hashes and archive:
            hashes += [row.hash.hex() for row in rows_numbered(rows, head.n, head.chain)]
        if head.hash not in hashes:
            return f"chain {head.chain or '(any)'}: row {head.n}, which was seen as its end, is missing or was altered: the log was cut or rewritten"
    return None


def _deleted(rows: Rows, *, archive: bool) -> frozenset[str]:
    """The chains of deleted organisations. The chains of the instance tell them."""
    gone = set[str]()
    for chain in (chain for chain in _chains(rows) if _org_of(chain) == NO_ORG):
        n = 0
        with contextlib.suppress(StoreDamaged, msgspec.DecodeError):  # `verify` reports a damaged row by itself
            while found := page(rows, chain, n, archive=archive):
                for row in found:
                    if row.action == DELETED:
                        gone.update(_deletion_decoder.decode(row.detail).chains)
                n = found[-1].n + 1
    return frozenset(gone)


class _Deletion(msgspec.Struct):
    """The part of the row about a deleted organisation that `verify` needs."""

    chains: dict[str, tuple[int, str]] = {}


_deletion_decoder: Final = msgspec.json.Decoder(_Deletion)


def verify(rows: Rows, keys: Sequence[bytes], *, archive: bool = True) -> str | None:
    """Verify every row of every chain, with the archive.

    Args:    keys: the current key, then the keys from before the last rotations. archive: as in `page`.
    Returns: None if all rows are valid; else a text about the first fault.
    """
    fault = _missing(rows, archive=archive)
    aged: list[str] = []
    for chain in () if fault else _chains(rows):
        key = _key_of(rows, chain, keys)
        if key != keys[0]:
            aged.append(chain)
        fault = _verify_chain(rows, chain, key, archive=archive)
        if fault:
            break
    return fault or _verify_anchors(rows, aged, archive=archive)


def _missing(rows: Rows, *, archive: bool) -> str | None:
    """What is missing as a whole, or stored twice."""
    if rows.fetch_one("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'audit'") is None:
        return "the table of audit rows is missing"
    if rows.fetch_one("SELECT 1 FROM audit") is None:
        was_set_up = rows.fetch_one("SELECT 1 FROM fact WHERE name = 'first_admin' UNION ALL SELECT 1 FROM account") is not None
        return "there is no audit row, although this hub was set up" if was_set_up else None
    return misplaced(rows) if archive else None


def _key_of(rows: Rows, chain: str, keys: Sequence[bytes]) -> bytes:
    """The key of a chain's first row; if that has none of them, the current one."""
    first = StoredRow(*rows.fetch_all("SELECT * FROM audit WHERE chain = ? ORDER BY n LIMIT 1", chain)[0])
    return next((key for key in keys if hmac.compare_digest(_mac(key, _START, first[:11]), first.hash)), keys[0])


def _verify_chain(rows: Rows, chain: str, key: bytes, *, archive: bool) -> str | None:
    prev, n = _START, 0
    try:
        while found := page(rows, chain, n, archive=archive):
            for row in found:
                if row.n != n:
                    return f"chain {chain}: row {n} is missing"
                if row.prev != prev or not hmac.compare_digest(_mac(key, prev, row[:11]), row.hash):
                    return f"chain {chain}: row {n} was altered"
                prev, n = row.hash, n + 1
    except StoreDamaged as exc:
        return f"chain {chain}: row {n}: {exc.message}"
    return None


def _verify_anchors(rows: Rows, aged: Sequence[str], *, archive: bool) -> str | None:
    """Check that every row that a chain records exists unchanged, and that the head of each chain under an earlier key is recorded.

    Args:    aged: the chains under an earlier key. archive: as in `page`.
    Returns: None; or a text about the first fault.
    """
    recorded: set[tuple[str, int]] = set()
    gone = _deleted(rows, archive=archive)
    for anchor in rows.fetch_all(_ANCHORS):
        for chain, (n, digest) in _anchors_of(anchor).items():
            if chain in gone:
                continue
            found = rows.fetch_one("SELECT hash FROM audit WHERE chain = ? AND n = ?", chain, n)
            if found is None or found["hash"].hex() != digest:
                return f"chain {chain}: row {n} is missing, or is not the row that chain {anchor['chain']} recorded"
            recorded.add((chain, n))
    for chain in aged:
        last = rows.fetch_all("SELECT max(n) AS n FROM audit WHERE chain = ?", chain)[0]["n"]
        if (chain, last) not in recorded:
            return f"chain {chain}: row {last} was added under a key from before the last rotation"
    return None


def last_at(rows: Rows) -> float | None:
    """The latest time of a row, Unix seconds; None: there is no row. Rows from before a user last accepted the clock do not count."""
    mark = rows.fetch_one("SELECT value FROM fact WHERE name = ?", _CLOCK)
    if mark is None:
        found = rows.fetch_all("SELECT max(at) AS at FROM audit")[0]["at"]
    else:
        chain, n = decoded(_clock_mark_decoder, mark["value"])
        since = "coalesce((SELECT min(rowid) FROM audit WHERE chain = ? AND n >= ?), 0)"  # the row itself may be in the archive
        found = rows.fetch_all(f"SELECT max(at) AS at FROM audit WHERE rowid >= {since}", chain, n)[0]["at"]  # noqa: S608 - built from constants only
    return None if found is None else float(found)


def mark_clock(tx: Tx) -> None:
    """Let `last_at` ignore all rows before the newest one."""
    row = tx.fetch_all("SELECT chain, n FROM audit ORDER BY rowid DESC LIMIT 1")[0]
    save_fact(tx, _CLOCK, msgspec.json.encode((row["chain"], row["n"])))


_ROWS: Final = "SELECT rowid AS place, 0 AS no, chain, n, at, actor, address, action, target, result, detail, prev, hash FROM audit"
_REFUSALS: Final = (
    "SELECT after_audit AS place, no, '' AS chain, no AS n, at, actor, address, action, target, 'refused' AS result,"
    " CASE count WHEN 1 THEN json_object('why', why) ELSE json_object('why', why, 'count', count, 'last_at', last_at) END AS detail,"
    " x'' AS prev, x'' AS hash FROM refusal"
)


def listed(rows: Rows, limit: int, before: tuple[int, int] = (BEHIND_ALL, 0), org: int | None = None) -> list[Row]:
    """The newest rows of the log, and the refusals between them, newest first.

    Args: before: only rows older than this position (`place` and `no`).
          org: None: rows of every organisation.
    """
    position, no = before
    owned, owner = ("", ()) if org is None else (" AND org = ?", (org,))
    sql = f"{_ROWS} WHERE rowid < ?{owned} ORDER BY rowid DESC LIMIT ?"
    found = rows.fetch_all(sql, min(position + (no > 0), BEHIND_ALL), *owner, limit)
    # a database of an older schema has no such table
    if rows.fetch_one("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'refusal'") is not None:
        sql = f"{_REFUSALS} WHERE (after_audit, no) < (?, ?){owned} ORDER BY after_audit DESC, no DESC LIMIT ?"
        found += rows.fetch_all(sql, position, no, *owner, limit)
    return sorted(found, key=lambda row: (row["place"], row["no"]), reverse=True)[:limit]


def some_rows(rows: Rows, chain: str, n: int, *, archive: bool) -> list[AuditRow]:
    """Some rows of a chain from number `n` on. Empty: there are no more. Args: archive: as in `page`. Raises: StoreDamaged."""
    return [_audit_row(row) for row in page(rows, chain, n, archive=archive)]


def _audit_row(row: StoredRow) -> AuditRow:
    detail = object_or_damage(row.detail)
    return AuditRow(row.chain, row.n, row.at, row.actor, row.address, row.action, row.target, row.result, detail, row.prev, row.hash)


def to_audit_row(row: Row) -> AuditRow:
    return AuditRow(
        *(row["chain"], row["n"], row["at"], row["actor"], row["address"], row["action"], row["target"], row["result"]),
        object_or_damage(row["detail"]),
        *(row["prev"], row["hash"]),
    )


def plain(text: str) -> str:
    """The first `_TEXT_LIMIT` characters of a text, safe for a terminal: each non-printable one is replaced by an escape of several characters."""
    short = text[:_TEXT_LIMIT]
    return short if is_visible(short) else "".join(c if is_visible(c) else c.encode("unicode_escape").decode() for c in short)


def _clean(value: object) -> object:
    """The detail without secrets and terminal control characters."""
    if isinstance(value, Mapping):
        return {plain(str(k)): "***" if any(word in str(k).lower() for word in _SECRET_WORDS) else _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | float | int):
        return value
    return plain(str(value))


__all__ = [
    "DEFAULT_ORG",
    "Chain",
    "chain_heads",
    "check_heads",
    "last_at",
    "listed",
    "mark_clock",
    "plain",
    "some_rows",
    "to_audit_row",
    "verify",
]
