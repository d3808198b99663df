"""Leftover configuration files are found, and only the path of secret ones is reported."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.after.config_leftovers import (
    CUT,
    MAX_LINES,
    MAX_TEXT_BYTES,
    SUFFIXES,
    ConfigLeftovers,
    appeared,
    describe,
    difference,
    find_left,
    hide_secrets,
    in_use,
    listed_by,
)
from spider.packages.report import MAX_DIFF_BYTES, MAX_DIFFS_BYTES, MAX_LEFTOVERS


def write(root: Path, path: str, content: str | bytes, mode: int = 0o644) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)
    for folder in file.relative_to(root).parents:
        (root / folder).chmod(0o755)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_manager_s_leftover_is_found_with_its_difference(tmp_path: Path, suffix: str) -> None:
    before = find_left(str(tmp_path))
    write(tmp_path, "/etc/app/app.conf", "# mine\nlevel = 1\nkeep\n")
    write(tmp_path, f"/etc/app/app.conf{suffix}", "# default\nlevel = 2\nkeep\n")
    paths = appeared(before, find_left(str(tmp_path)))
    assert paths == [f"/etc/app/app.conf{suffix}"]
    assert in_use(paths[0]) == "/etc/app/app.conf"
    text = difference(paths[0], str(tmp_path))
    assert text.splitlines() == ["--- /etc/app/app.conf", f"+++ {paths[0]}", "@@ -1,3 +1,3 @@", "-# mine", "-level = 1", "+# default", "+level = 2", " keep"]  # fmt: skip


def test_an_earlier_leftover_is_reported_only_if_it_was_written_again(tmp_path: Path) -> None:
    write(tmp_path, "/etc/old.conf.pacnew", "a\n")
    write(tmp_path, "/etc/new.conf.pacnew", "a\n")
    before = find_left(str(tmp_path))
    (tmp_path / "etc/new.conf.pacnew").unlink()
    write(tmp_path, "/etc/new.conf.pacnew", "b\n")
    assert appeared(before, find_left(str(tmp_path))) == ["/etc/new.conf.pacnew"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d/ops", "/etc/ssl/private/host", "/etc/app/tls.key", "/etc/a.pem",
        "/etc/ssh/ssh_host_ed25519_key", "/etc/app/secrets.yml", "/etc/krb5.keytab", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d/x",
        "/etc/ipsec.secrets", "/etc/app/token", "/etc/nginx/.htpasswd",
    ],
)  # fmt: skip
def test_leftovers_of_secret_files_are_listed_without_their_content(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, "root:x\n")
    write(tmp_path, path + ".rpmnew", "root:y\n")
    assert appeared(ConfigLeftovers({}), find_left(str(tmp_path))) == [path + ".rpmnew"]
    assert difference(path + ".rpmnew", str(tmp_path)) == ""


class TestNotShown:
    """Both files must be world-readable, regular, short and text."""

    def ask(self, root: Path) -> str:
        return difference("/etc/app/app.conf.dpkg-dist", str(root))

    def make(self, root: Path, used: str | bytes = "a\n", new: str | bytes = "b\n", used_mode: int = 0o644, new_mode: int = 0o644) -> None:
        write(root, "/etc/app/app.conf", used, used_mode)
        write(root, "/etc/app/app.conf.dpkg-dist", new, new_mode)

    def test_unless_the_files_are_plain_short_and_readable(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        assert "+b" in self.ask(tmp_path)

    @pytest.mark.parametrize("modes", [(0o640, 0o644), (0o644, 0o600)])
    def test_when_either_file_is_not_world_readable(self, tmp_path: Path, modes: tuple[int, int]) -> None:
        self.make(tmp_path, used_mode=modes[0], new_mode=modes[1])
        assert self.ask(tmp_path) == ""

    def test_when_a_parent_folder_is_not_world_readable(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        (tmp_path / "etc/app").chmod(0o750)
        assert self.ask(tmp_path) == ""

    def test_when_a_symbolic_link_replaces_a_file_or_a_folder(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        (tmp_path / "etc/app/app.conf").unlink()
        write(tmp_path, "/srv/public", "a\n")
        (tmp_path / "etc/app/app.conf").symlink_to("../../srv/public")
        assert self.ask(tmp_path) == ""
        (tmp_path / "etc/app/app.conf").unlink()
        write(tmp_path, "/etc/app/app.conf", "a\n")
        assert self.ask(tmp_path)
        (tmp_path / "etc/app").rename(tmp_path / "etc/moved")
        (tmp_path / "etc/app").symlink_to("moved")
        assert self.ask(tmp_path) == ""

    def test_when_the_file_is_a_pipe_and_without_waiting(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        (tmp_path / "etc/app/app.conf").unlink()
        os.mkfifo(tmp_path / "etc/app/app.conf", 0o644)
        assert self.ask(tmp_path) == ""

    @pytest.mark.parametrize(
        "content",
        [b"\xff\xfe", b"a\0b", b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"x" * (MAX_TEXT_BYTES + 1)],
        ids=["no-utf8", "zero-byte", "private-key", "long"],
    )
    def test_when_the_content_is_binary_long_or_a_key(self, tmp_path: Path, content: bytes) -> None:
        self.make(tmp_path, new=content)
        assert self.ask(tmp_path) == ""

    def test_when_the_current_file_is_missing(self, tmp_path: Path) -> None:
        write(tmp_path, "/etc/app/app.conf.dpkg-dist", "b\n")
        assert self.ask(tmp_path) == ""


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("+password = hunter2", "+password = ***"),
        (" db_password: 'x y'", " db_password: ***"),
        ("+  api-key\tabc", "+  api-key\t***"),
        ("-rocommunity public", "-rocommunity ***"),
        ("+url = https://me:hunter2@example.org/", "+url = https://me:***@example.org/"),
        ("+PasswordAuthentication no", "+PasswordAuthentication no"),
        (" PermitRootLogin prohibit-password", " PermitRootLogin prohibit-password"),
        ("+level = 2", "+level = 2"),
    ],
)
def test_secrets_are_hidden_in_a_shown_difference(line: str, shown: str) -> None:
    assert hide_secrets(line) == shown


def test_the_time_for_a_long_line_does_not_grow_with_the_cube_of_its_length() -> None:
    begun = time.process_time()
    hide_secrets("+" + "pwd-" * 500)
    assert time.process_time() - begun < 2.0


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_line_can_be_searched_for_secrets(line: str) -> None:
    assert isinstance(hide_secrets(line), str)


def test_long_differences_are_cut_and_fit_into_one_report_together(tmp_path: Path) -> None:
    for number in range(MAX_LEFTOVERS + 5):
        write(tmp_path, f"/etc/many/{number:03}.conf", "a\n" * 20_000)
        write(tmp_path, f"/etc/many/{number:03}.conf.ucf-dist", "é\n" * 20_000)
    paths = appeared(ConfigLeftovers({}), find_left(str(tmp_path)))
    one = difference(paths[0], str(tmp_path))
    assert one.endswith(CUT)
    assert MAX_DIFF_BYTES - 200 < len(one.encode()) <= MAX_DIFF_BYTES
    told, left_out = describe(paths[:20] + paths, lambda _path: one)
    assert (len(told), left_out) == (MAX_LEFTOVERS, 25)
    assert sum(len(leftover.diff.encode()) for leftover in told) <= MAX_DIFFS_BYTES
    assert told[0].diff == one
    assert told[-1].diff == ""


def test_files_of_too_many_lines_are_not_compared(tmp_path: Path) -> None:
    write(tmp_path, "/etc/many.conf", "a\n")
    write(tmp_path, "/etc/many.conf.rpmnew", "b\n" * (MAX_LINES + 1))
    assert difference("/etc/many.conf.rpmnew", str(tmp_path)) == "[no difference is shown: a file has more than 20,000 lines]\n"


def test_the_search_for_leftovers_is_bounded_and_reports_it(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path, f"/etc/{number}.conf.rpmnew", "")
    found = find_left(str(tmp_path), limit=10)
    assert (len(found.files), found.complete) == (10, False)
    assert not find_left(str(tmp_path), limit_s=-1).complete
    assert find_left(str(tmp_path / "nowhere")) == ConfigLeftovers({})


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/loop").symlink_to(".")
    write(tmp_path, "/etc/a.conf.rpmsave", "")
    assert list(find_left(str(tmp_path)).files) == ["/etc/a.conf.rpmsave"]


def test_outside_etc_the_managers_file_lists_are_searched(tmp_path: Path) -> None:
    write(
        tmp_path,
        "/var/lib/dpkg/status",
        "Package: a\nConffiles:\n /etc/a.conf 0123\n /usr/share/a/a.conf 4567 obsolete\nDescription: a\n /not/this one\n\nPackage: b\n",
    )
    assert listed_by("apt", str(tmp_path)) == ["/usr/share/a/a.conf"]
    write(tmp_path, "/var/lib/pacman/local/b-1-1/files", "%FILES%\nusr/\n\n%BACKUP%\netc/b.conf\tff\nvar/lib/b/b.conf\tee\n\n")
    write(tmp_path, "/var/lib/pacman/local/c-1-1/files", "%FILES%\nusr/\n")
    write(tmp_path, "/var/lib/pacman/local/ALPM_DB_VERSION", "9\n")
    assert listed_by("pacman", str(tmp_path)) == ["/var/lib/b/b.conf"]
    assert listed_by("apk", str(tmp_path)) == []
    write(tmp_path, "/var/lib/b/b.conf.pacnew", "")
    assert list(find_left(str(tmp_path), ["/var/lib/b/b.conf"]).files) == ["/var/lib/b/b.conf.pacnew"]
