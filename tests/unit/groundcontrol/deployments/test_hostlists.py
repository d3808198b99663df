"""Pasted lists of servers: which formats are parsed, and that no text breaks the parser."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groundcontrol.core.errors import BadRequest
from groundcontrol.deployments.hostlists.base import MAX_ROWS, MAX_TEXT_CHARS, read_tags
from groundcontrol.deployments.hostlists.model import Format, Listed, ServerAddress
from groundcontrol.deployments.hostlists.reading import read_list
from groundcontrol.deployments.model import DeploymentRequest, JumpRequest
from groundcontrol.deployments.requests import check_request, is_host
from groundcontrol.nodes.checks import MAX_NAME_CHARS
from tests.support.some import some

SSH_CONFIG = """
Host bastion
  HostName 10.0.0.1
  Port 2200
  User jump

Host web-* !web-3
  ProxyJump bastion
  IdentityFile ~/.ssh/id_ed25519
Host web-1 web-2 web-3
  HostName=%h.example.com
  LocalForward 8080 localhost:80
Match exec "true"
  User z
Include more/*
Host *
  User "admin"
  Port 2022
"""


def only(text: str, form: str = "auto") -> Listed:
    (server,) = read_list(text, form).servers  # type: ignore[arg-type]  # named as they are
    return server


def codes(text: str) -> list[list[str]]:
    return [[problem.code for problem in server.problems] for server in read_list(text).servers]


@pytest.mark.parametrize(
    ("line", "host", "port", "username", "name"),
    [
        ("web-1", "web-1", 22, None, None),
        ("root@web-1.example:2222", "web-1.example", 2222, "root", None),
        ("ssh://ops@192.0.2.7:22/", "192.0.2.7", 22, "ops", None),
        ("[2001:db8::7]:2200", "2001:db8::7", 2200, None, None),
        ("root@[2001:db8::7]", "2001:db8::7", 22, "root", None),
        ("2001:db8::7", "2001:db8::7", 22, None, None),
        ("ops@fe80::1%eth0 edge", "fe80::1%eth0", 22, "ops", "edge"),
        ("  me@corp@web-1   the-web  # behind the door", "web-1", 22, "me@corp", "the-web"),
    ],
)
def test_a_line_is_a_server(line: str, host: str, port: int, username: str | None, name: str | None) -> None:
    assert only(f"# servers\n\n{line}\n") == Listed(3, host, port, username, name)


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        ("web-1:ssh", "port_invalid", "port"),
        ("web-1:0", "port_invalid", "port"),
        ("web-1:65536", "port_invalid", "port"),
        ("web-1:²", "port_invalid", "port"),
        ("web_1!", "host_invalid", "host"),
        ("-oProxyCommand=x", "host_invalid", "host"),
        ("root@", "host_missing", "host"),
        ("@web-1", "user_invalid", "username"),
        ("[2001:db8::7:22", "host_invalid", "host"),
        ("[web-1]:22", "host_invalid", "host"),
        ("2001:db8::zz:22", "host_invalid", "host"),
        ("web-1 name and more", "not_understood", ""),
    ],
)
def test_an_invalid_line_says_why(line: str, code: str, field: str) -> None:
    problems = [(problem.code, problem.field) for problem in only(line, "lines").problems]
    assert (code, field) in problems


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("müller.example", True),
        ("日本.example", True),
        ("xn--mller-kva.example", True),
        ("10.0.0.3", True),
        ("db-10.0.example", True),
        ("10.0.0.300", False),
        ("10.1", False),  # to the resolver it is 10.0.0.1
        ("2130706433", False),
        ("0x7f.0.0.0x1", False),
        ("10.0.0.3.", False),
        ("müller..example", False),
        ("a..b", False),
        ("web-1..", False),
        ("web-1.", True),
        ("ex\u00adample.com", False),
        ("\u2067müller.example", False),
        ("ü" * 300, False),
    ],
)
def test_international_names_are_hosts_and_invalid_addresses_are_not(host: str, right: bool) -> None:
    assert is_host(host) is right
    assert [problem.code for problem in only(f"root@{host}", "lines").problems] == ([] if right else ["host_invalid"])


def test_an_international_name_is_resolved_encoded_and_shown_as_typed() -> None:
    checked = check_request(DeploymentRequest(host="müller.example", username="root", jump=JumpRequest(host="straße.example")))
    assert (checked.host, checked.name) == ("xn--mller-kva.example", "müller.example")
    assert some(checked.jump).host == "xn--strae-oqa.example"


def test_a_password_in_a_line_is_refused_and_not_repeated() -> None:
    server = only("root:hunter2-canary@web-1", "lines")
    assert [problem.code for problem in server.problems] == ["user_invalid"]
    assert "canary" not in repr(server)


@pytest.mark.parametrize("before", ["", "host,user\n", "web-1\n", "Host a\n"])
@pytest.mark.parametrize("kind", ["OPENSSH ", "RSA ", "ENCRYPTED ", ""])
def test_a_private_key_in_a_list_is_refused_and_not_repeated(before: str, kind: str) -> None:
    """Its lines could pass for names of hosts, which are resolved and written down."""
    reading = read_list(f"{before}-----BEGIN {kind}PRIVATE KEY-----\nb3BlbnNzaC1canary\nQyNTUxOcanary==\n-----END {kind}PRIVATE KEY-----\n")
    assert reading.servers == ()
    assert [(line, problem.code) for line, problem in reading.problems] == [(before.count("\n") + 1, "secret_column")]
    assert "canary" not in repr(reading)


def test_a_repeated_server_or_name_is_a_duplicate() -> None:
    assert codes("a\nb a2\nA:22\nb:2022 A2\n[2001:db8::1]\n2001:db8::1") == [[], [], ["duplicate"], ["duplicate_name"], [], ["duplicate"]]
    assert [len(server.problems) for server in read_list("Host a b\n HostName web-1").servers] == [0, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("müller.example", "xn--mller-kva.example"),
        ("MÜLLER.example", "mu\u0308ller.example"),
        ("web-1", "Web-1."),
        ("\uff11\uff19\uff12.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "[2001:0DB8:0::7]:22"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_one_server_in_two_spellings_is_a_duplicate(one: str, other: str) -> None:
    assert codes(f"{one} a\n{other} b") == [[], ["duplicate"]]


@pytest.mark.parametrize("field", ["host", "jump.host"])
@pytest.mark.parametrize("host", ["lo\u00adcalhost", "a..b", "web\u200b"])
def test_a_fault_of_a_host_names_its_field(host: str, field: str) -> None:
    jump = JumpRequest(host=host) if field == "jump.host" else None
    with pytest.raises(BadRequest) as caught:
        check_request(DeploymentRequest(host="web-1" if jump else host, username="root", jump=jump))
    assert caught.value.detail["field"] == field
    assert caught.value.message.startswith(f"{field} ")


def test_a_long_host_gives_a_truncated_name() -> None:
    host = ".".join(["web-1"] * 40)
    assert check_request(DeploymentRequest(host=host, username="root")).name == host[:MAX_NAME_CHARS]


def test_a_table_is_read_by_its_header() -> None:
    text = (
        "\ufeffHost;SSH Port;User;Tags;Jump Host;Colour;fingerprint;name\r\n"
        'web-1;2222;root;"eu;prod";adm@gate:2200;red;;one\r\n'
        ";;;;;;;\r\n"
        "ops@[2001:db8::7]:2201;;;;none;;SHA256:" + "a" * 43 + ";\r\n"
    )
    reading = read_list(text)
    assert reading.format == "csv"
    assert reading.servers == (
        Listed(2, "web-1", 2222, "root", "one", ("eu", "prod"), None, ServerAddress("gate", 2200, "adm")),
        Listed(4, "2001:db8::7", 2201, "ops", None, (), "SHA256:" + "a" * 43),
    )
    assert [note.message for note in reading.notes] == ["the column “colour” is not known, and left out"]


def test_faults_of_a_table_are_reported_with_their_lines() -> None:
    text = 'host,port,user,jump,host_key\na,x,root,,\nb,22,r t,,\nc,,,"x,y",\nd,,,,SHA256:no\n"e,22\nf,22,root,,,,more\n,22,root,,'
    found = codes(text)
    assert found == [
        ["port_invalid"], ["user_invalid"], ["jump_chain"], ["host_key_invalid"], ["not_understood"], ["not_understood"], ["host_missing"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("host,ip", "the columns host and ip mean the same: keep one; in each line the first that is not empty counts"),
        ("host,host", "the column host is in the header twice: keep one; in each line the first that is not empty counts"),
    ],
)
def test_a_field_with_two_columns_is_reported_and_its_first_value_counts(header: str, told: str) -> None:
    reading = read_list(f"{header},port\nweb-1,192.0.2.7,22\n,192.0.2.8,22\n")
    assert ([server.host for server in reading.servers], [note.message for note in reading.notes]) == (["web-1", "192.0.2.8"], [told])


@pytest.mark.parametrize("row", ['web-1,"b"c', 'web-1,"b'])
def test_a_row_with_wrong_quotes_says_what_a_quoted_value_needs(row: str) -> None:
    problems = read_list(f"host,name\n{row}\n").servers[0].problems
    message = "a quoted value must end in its line, and the next delimiter must follow its closing quote"
    assert [(problem.code, problem.message) for problem in problems] == [("not_understood", message)]


def test_a_host_is_checked_beside_other_faults_of_its_row() -> None:
    assert codes("host,port\n,x\na..b,x\n") == [["host_missing", "port_invalid"], ["host_invalid", "port_invalid"]]
    assert codes("Host a\n HostName a..b\n Port many\n") == [["host_invalid", "port_invalid"]]
    assert codes("web-1:ssh\n@web-1\n") == [["port_invalid"], ["user_invalid"]]


SECRET_COLUMNS = (
    "password", "private_key", "sudo password", "pass", "passwd", "pwd", "pw", "ssh_password", "SSH-Pass", "ansible_password", "ansible_ssh_pass",
    "ansible_become_password", "become_password", "sudo_pass", "token", "api-token", "ssh_key", "SshKey", "key_file", "KEY FILE", "ssh.key",
    "ansible_ssh_private_key_file", "identityfile", "client secret", "Passphrase", "key (PEM)",
)  # fmt: skip


@pytest.mark.parametrize("column", SECRET_COLUMNS)
@pytest.mark.parametrize("text", ["host,{}\nweb-1,canary", "node\t{}\nweb-1\tcanary", "{};server;port\ncanary;web-1;22"])
def test_secrets_in_a_table_are_refused_as_a_whole(text: str, column: str) -> None:
    reading = read_list(text.format(column))
    assert (reading.format, reading.servers, [problem.code for _, problem in reading.problems]) == ("csv", (), ["secret_column"])
    assert "canary" not in repr(reading)


@pytest.mark.parametrize("header", ["#host\tpassword", "# password;host", "#host,pw", "## server , ssh_key"])
@pytest.mark.parametrize("form", ["auto", "csv"])
def test_a_commented_header_is_recognised(header: str, form: Format | Literal["auto"]) -> None:
    reading = read_list(f"\n{header}\nweb-1\tcanary\n", form)
    assert (reading.format, reading.servers, [problem.code for _, problem in reading.problems]) == ("csv", (), ["secret_column"])
    assert "canary" not in repr(reading)
    reading = read_list("# our servers\n#host,port,user\nweb-1,2222,root\n", form)
    assert reading.servers == (Listed(3, "web-1", 2222, "root"),)


def test_a_comment_is_not_a_header() -> None:
    assert read_list("# host, and what we know of it\nroot@web-1\n").format == "lines"
    assert read_list("# host\nroot@web-1\n").format == "lines"
    assert read_list("# web, db\nhost,port\nweb-1,22\n").servers == (Listed(3, "web-1", 22, None),)


@pytest.mark.parametrize("column", ["host_key", "Host Key", "fingerprint", "ssh_host_key", "keyboard", "power", "comment"])
def test_the_words_key_and_token_alone_are_not_secrets(column: str) -> None:
    assert read_list("root@web-1 # the old one, without key, token").format == "lines"
    reading = read_list(f"host,port,{column}\nweb-1,22,")
    assert (reading.format, len(reading.servers), reading.problems) == ("csv", 1, ())


def test_a_table_without_a_host_column_is_refused() -> None:
    reading = read_list("web-1,22\nweb-2,22", "csv")
    assert (reading.servers, [problem.code for _, problem in reading.problems]) == ((), ["header_missing"])


def test_a_client_configuration_is_read_as_openssh_reads_it() -> None:
    reading = read_list(SSH_CONFIG)
    gate = ServerAddress("10.0.0.1", 2200, "jump")
    bare = [server._replace(notes=()) for server in reading.servers]
    assert (reading.format, reading.problems) == ("ssh_config", ())
    assert bare == [
        Listed(2, "10.0.0.1", 2200, "jump", "bastion"),
        Listed(10, "web-1.example.com", 2022, "admin", "web-1", jump=gate),
        Listed(10, "web-2.example.com", 2022, "admin", "web-2", jump=gate),
        Listed(10, "web-3.example.com", 2022, "admin", "web-3"),
    ]
    assert [len(server.notes) for server in reading.servers] == [0, 1, 1, 0]
    assert [note.message.split()[0] for note in reading.notes] == ["Match", "Include"]


def test_unsupported_settings_of_an_ssh_configuration_are_reported() -> None:
    text = (
        "Host a\n ProxyCommand nc %h %p\nHost b\n ProxyJump x,y\nHost c\n ProxyJump g\nHost g\n ProxyJump h\nHost h\n ProxyJump none\n"
        "Host i\n HostName %r.example\nHost j\n Port many\nHost k\n ProxyJump u@k2:99\nHost k2\n Port 7\n HostName 192.0.2.9\n"
    )
    named = {server.name or server.host: server for server in read_list(text).servers}
    found = {name: [problem.code for problem in server.problems] for name, server in named.items()}
    wrong = {name: told for name, told in found.items() if told}
    assert wrong == {"a": ["proxy_command"], "b": ["jump_chain"], "c": ["jump_chain"], "%r.example": ["host_invalid"], "j": ["port_invalid"]} or wrong == {
        "a": ["proxy_command"], "b": ["jump_chain"], "c": ["jump_chain"], "i": ["host_invalid"], "j": ["port_invalid"],
    }  # fmt: skip
    assert named["k"].jump == ServerAddress("192.0.2.9", 99, "u")
    assert read_list("Host a\n HostName 'x\n User \"y").problems[0][1].code == "not_understood"


def test_a_list_is_bounded_in_rows_text_and_work() -> None:
    many = read_list("\n".join(f"h{at}" for at in range(MAX_ROWS + 5)))
    assert (len(many.servers), [problem.code for _, problem in many.problems]) == (MAX_ROWS, ["too_many"])
    assert [problem.code for _, problem in read_list("a" * (MAX_TEXT_CHARS + 1)).problems] == ["too_many"]
    assert [(line, problem.code) for line, problem in read_list("a\n" + "b" * 2001).problems] == [(2, "line_too_long")]
    wide = read_list("Host " + " ".join("ab" for _ in range(600)) + "\n" + "Host *\n" * 1900)
    assert [problem.code for _, problem in wide.problems] == ["too_many"]


NAMES = "".join(f"Host web-{at}.eu\n HostName 192.0.2.{at}\n ProxyJump gate-{at % 5}\n" for at in range(MAX_ROWS))


@pytest.mark.parametrize(
    "text",
    [
        NAMES + "".join(f"Host {'*a' * 40}{at}\n User x\n" for at in range(1700)),
        "".join(f"Host {'a' * 240}{at}\n" for at in range(MAX_ROWS)) + "".join(f"Host *{'a' * 60}b{at}\n User x\n" for at in range(1500)),
        NAMES + "Host *\n User x\n" * 1700,
        NAMES
        + "Host * "
        + " ".join(f"!a{at}" for at in range(190))
        + ("\n User x\nHost * " + " ".join(f"!b{at}" for at in range(190))) * 5
        + "\n User y\n",
    ],
    ids=["stars", "long", "many", "not"],
)
def test_a_configuration_that_would_take_long_is_refused(text: str) -> None:
    reading = read_list(text, "ssh_config")
    assert (reading.servers, [problem.code for _, problem in reading.problems]) == ((), ["too_many"])


def test_a_large_configuration_is_read() -> None:
    rules = "".join(f"Host web-{at}?.** !web-{at}7.*\n User u{at}\n" for at in range(1, 20))
    servers = read_list(NAMES + rules + "Host [a]\n User no\nHost *\n User admin\n", "ssh_config").servers
    assert [(one.username, one.problems) for one in (servers[5], servers[16], servers[17])] == [("admin", ()), ("u1", ()), ("admin", ())]
    assert (len(servers), servers[7].jump) == (MAX_ROWS, ServerAddress("gate-2", 22, "admin"))


WORDS = st.sampled_from(
    [
        *[
            "Host",
            "HostName",
            "User",
            "Port",
            "ProxyJump",
            "ProxyCommand",
            "Match",
            "Include",
            "IdentityFile",
            "name",
            "user",
            "port",
            "jump",
            "tags",
            "host_key",
            "password",
        ],
        *[
            ",",
            ";",
            "=",
            '"',
            "'",
            "#",
            "@",
            ":",
            "[",
            "]",
            "%",
            "%h",
            "*",
            "?",
            "!",
            "none",
            "ssh://",
            "22",
            "2222",
            "root",
            "web-1",
            "192.0.2.1",
            "2001:db8::1",
            "fe80::1%eth0",
            "\ufeff",
            "\x00",
            "²",
            "😀",
        ],
        *["host", "\t", "\r", "\n", " ", "  "],
    ]
)


@example("192.0.2.1%", "auto")
@example("fe80::1%", "lines")
@given(st.lists(WORDS, max_size=60).map("".join) | st.text(max_size=200), st.sampled_from(["auto", "lines", "csv", "ssh_config"]))
def test_arbitrary_text_raises_no_error(text: str, form: str) -> None:
    reading = read_list(text, form)  # type: ignore[arg-type]  # named as they are
    assert len(reading.servers) <= MAX_ROWS
    places = [(one.host.casefold(), one.port, one.jump and one.jump[:2]) for one in reading.servers if not one.problems]
    assert len(set(places)) == len(places)
    for one in reading.servers:
        assert 1 <= one.line <= text.count("\n") + text.count("\r") + 1
        assert one.problems or (one.host and 0 < one.port < 65536)
        assert len(one.host) <= 300


def test_tags_of_a_row_are_separated_by_commas_too() -> None:
    assert read_tags("web,db; eu|eu ,") == ("web", "db", "eu")
