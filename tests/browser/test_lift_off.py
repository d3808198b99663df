"""The whole workflow in a real browser: log in, add a server, watch it, upgrade it, remove it, and check that it is clean."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.sync_api import Page, expect

from groundcontrol.deployments.model import INSTALL_STEPS
from tests.support import fsdiff
from tests.support.agent_host import AgentHost
from tests.support.hub import PASSWORD, HubProcess
from tests.support.lab import Host
from tests.support.page.waits import forgotten, until

pytestmark = [pytest.mark.browser, pytest.mark.system, pytest.mark.timeout(600)]

STEPS = 100
WATCHED_CHANGES = 5
"""A busy page shows several steps in one change. One that shows the output at its end changes once or twice."""
SSH_USERS = {"admin": "lab-admin-pw", "root": ""}
JOB_LIMIT_MS = 120_000


def first_log_in(page: Page, hub: HubProcess) -> None:
    """admin / admin opens nothing but the choice of a password."""
    page.goto(hub.url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill("admin")
    page.get_by_role("button", name="Sign in").click()
    page.locator("input[name=new-password]").fill(PASSWORD)
    page.locator("input[name=repeat-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("No nodes yet")).to_be_visible()


def add_node(page: Page, host: Host, user: str, name: str) -> None:
    """The dialog, from the empty page to the live node."""
    page.get_by_role("button", name="Add node").last.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Host name or IP").fill(host.address)
    dialog.get_by_label("Port").fill(str(host.port))
    dialog.get_by_label("SSH user").fill(user)
    dialog.get_by_label("Name in Stardust").fill(name)
    dialog.get_by_role("button", name="Paste key").click()
    dialog.get_by_label("Private key text").fill(host.private_key())
    if SSH_USERS[user]:
        dialog.get_by_label("sudo password", exact=True).fill(SSH_USERS[user])
    dialog.get_by_role("button", name="Connect").click()
    expect(dialog.get_by_text("Is this the right server?")).to_be_visible()
    shown = dialog.get_by_label("Fingerprint", exact=True).inner_text()
    assert shown in {key["fingerprint"] for key in host.host_keys}
    dialog.get_by_text("The fingerprints match").click()
    dialog.get_by_role("button", name="Trust and deploy").click()
    expect(dialog.get_by_role("button", name="Open node")).to_be_visible(timeout=60_000)
    steps = dialog.locator("[data-step]")
    expect(dialog.locator("[data-step][data-state=done]")).to_have_count(len(INSTALL_STEPS))
    assert steps.evaluate_all("found => found.map(step => step.dataset.step)") == list(INSTALL_STEPS)
    forgotten(page, "PRIVATE KEY", "lab-admin-pw")
    dialog.get_by_role("button", name="Open node").click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    forgotten(page, "PRIVATE KEY", "lab-admin-pw")


def node_id_of(page: Page) -> str:
    page.wait_for_url(re.compile(r"/n/[0-9a-hjkmnp-tv-z]{26}"))
    return page.url.partition("/n/")[2][:26]


def watch_it_live(page: Page, hub: HubProcess, node: str) -> None:
    """Second by second, and again and again what the page shows is the newest that the hub has, though the hub is asked after it."""
    cell = page.locator('[data-series="cpu.user"]').first
    expect(cell).to_be_visible()
    seen: dict[float, float] = {}

    def behind_s() -> float:
        shown_at, shown = map(float, cell.evaluate("(cell) => [cell.dataset.at, cell.dataset.value]"))  # immediately: both of one sample
        seen[shown_at] = shown
        truth = hub.node(node)["latest"]["cpu.user"]
        if shown_at == truth["at"]:
            assert shown == pytest.approx(truth["value"])
        return float(truth["at"]) - shown_at

    def following() -> int:
        """How often consecutive seconds were shown: unwatched nodes send ten together."""
        return sum(after - before < 2 for before, after in itertools.pairwise(sorted(seen)))

    for _ in range(5):
        until(page, behind_s, lambda behind: behind <= 0)
        page.wait_for_function("([old]) => Number(document.querySelector('[data-series=\"cpu.user\"]').dataset.at) > old", arg=[max(seen)])
    until(page, lambda: (behind_s(), following())[1], lambda found: found >= 3)
    history = hub.local("GET", f"/api/v1/nodes/{node}/history?metric=cpu.user&from={min(seen)}&to={max(seen) + 1}&points=600").json
    held = dict(zip(history["times"], history["series"]["cpu.user"]["avg"], strict=True))
    for at, value in seen.items():
        if held.get(at) is not None:
            assert value == pytest.approx(held[at], abs=0.01)
    page.wait_for_function(
        """() => [...document.querySelectorAll('canvas')].filter(canvas => canvas.width &&
            new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 3).length >= 4"""
    )


OWNERS = "# mine\\n[policy]\\nversion = 1\\nmode = readonly\\n"


def change_its_policy(page: Page, hub: HubProcess, host: Host, user: str, node: str) -> None:
    """Many nodes, one dialog: the owner's file is shown beside what would replace it, and stays until that is confirmed."""
    [gone] = hub.enrol("gone-1")  # a second node, at whose address no SSH server is
    host.sh(f"printf '{OWNERS}' > /etc/stardust/policy.conf")
    page.goto(f"{hub.url}/settings/policies")
    page.get_by_role("button", name="Change all…").click()
    dialog = page.get_by_role("dialog", name="Deploy 2 servers again")
    dialog.get_by_label("SSH user").fill(user)
    dialog.get_by_role("button", name="Paste key").click()
    dialog.get_by_label("Private key text").fill(host.private_key())
    if SSH_USERS[user]:
        dialog.get_by_label("sudo password", exact=True).fill(SSH_USERS[user])
    compare = dialog.get_by_role("button", name="Compare the policies and deploy")
    compare.click()
    expect(dialog.get_by_text("Choose what the policies are to allow")).to_be_visible()
    dialog.get_by_label("Policy on the server", exact=True).select_option("managed")
    dialog.get_by_label("Services that may be restarted").fill("cron.service")
    compare.click()
    difference = dialog.get_by_role("region", name="Difference of the policy")
    expect(difference.get_by_text("mode = readonly")).to_be_visible(timeout=JOB_LIMIT_MS)
    expect(difference.get_by_text("units = cron.service")).to_be_visible()
    expect(dialog.get_by_text("1 with another policy, unchanged")).to_be_visible()
    expect(dialog.locator("p.crit").filter(has_text="gone-1")).to_be_visible(timeout=JOB_LIMIT_MS)
    assert host.sh("cat /etc/stardust/policy.conf") == OWNERS.replace("\\n", "\n")
    write = dialog.get_by_role("button", name="Write the policy")
    expect(write).to_be_disabled()
    difference.get_by_role("checkbox").check()
    write.click()
    expect(dialog.get_by_text("Policy written:")).to_be_visible(timeout=JOB_LIMIT_MS)
    assert "units = cron.service" in host.sh("cat /etc/stardust/policy.conf")
    until(page, lambda: (hub.node(node)["policy"] or {}).get("units"), lambda found: found == ["cron.service"])
    forgotten(page, "PRIVATE KEY", "lab-admin-pw")
    assert hub.local("DELETE", f"/api/v1/nodes/{gone.node_id}?force=true").status == 202
    dialog.get_by_role("button", name="Close").last.click()
    page.goto(f"{hub.url}/n/{node}")


def terminal_text(page: Page) -> str:
    """All the text that the terminal holds, as the page's own copy button gives it."""
    page.get_by_role("button", name="Copy output").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    paper = page.context.new_page()  # the page under test may not read the clipboard, and says so in its headers
    paper.set_content("<textarea></textarea>")
    paper.get_by_role("textbox").focus()
    paper.keyboard.press("Control+V")
    text = until(paper, paper.get_by_role("textbox").input_value)
    paper.close()
    return text


COUNT_CHANGES = """() => {
    const rows = document.querySelector('.xterm-rows');
    window.changesOfTerminal = 0;
    let last = rows.textContent;
    const look = () => {
        if (rows.textContent !== last) { last = rows.textContent; window.changesOfTerminal += 1; }
        requestAnimationFrame(look);
    };
    look();
}"""


def upgrade_it(page: Page, hub: HubProcess, host: Host) -> None:
    """Real packages, with streamed output; the page is reloaded midway, while the job waits for it."""
    agent = AgentHost(host)
    agent.hold_scripts()
    page.get_by_role("button", name="Upgrade").click()
    start = page.get_by_role("dialog").get_by_role("button", name="Start upgrade")
    expect(start).to_be_enabled(timeout=JOB_LIMIT_MS)  # the server says first what it would do
    expect(page.get_by_role("table", name="Planned changes").get_by_text("lab-slow")).to_be_visible()
    start.click()
    page.wait_for_url(re.compile(r"/jobs/"))
    job = page.url.rpartition("/")[2].partition("?")[0]
    terminal = page.get_by_role("log")
    rows = page.locator(".xterm-rows")
    expect(rows).to_contain_text("lab-slow: step 1/", timeout=JOB_LIMIT_MS)
    page.reload()
    expect(terminal).to_be_visible()
    expect(rows).to_contain_text("lab-slow: step 1/")
    assert hub.job(job)["state"] == "running"
    page.evaluate(COUNT_CHANGES)
    agent.release_scripts()
    expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible(timeout=JOB_LIMIT_MS)
    changes = page.evaluate("window.changesOfTerminal")
    assert changes >= WATCHED_CHANGES, f"the page changed {changes} times"
    found = [int(step) for step in re.findall(r"lab-slow: step (\d+)/100", terminal_text(page))]
    assert found == list(range(1, STEPS + 1))
    ended = hub.job(job)
    assert ended["exit_code"] == 0
    assert {"lab-slow", "lab-hello"} <= {change["package"].partition(":")[0] for change in ended["changes"]}
    expect(page.get_by_role("table", name="Changed packages").get_by_text("lab-slow")).to_be_visible()
    assert host.run("sha256sum", f"/var/lib/stardust/jobs/{job}/log").stdout.split()[0] == ended["output_sha256"]
    assert "2.0" in host.sh("dpkg-query -W -f '${Version}' lab-slow")


def remove_it(page: Page, node: str, name: str) -> None:
    """By typing its name; a wrong one opens nothing."""
    page.get_by_role("link", name="Fleet").first.click()
    page.get_by_role("row").get_by_text(name).first.click()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name="Remove node")
    box = dialog.get_by_role("textbox").last
    box.fill(name + "x")
    expect(button).to_be_disabled()
    box.fill(name)
    button.click()
    expect(dialog.get_by_text("was removed")).to_be_visible(timeout=60_000)
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_text("No nodes yet")).to_be_visible()
    until(page, lambda: node not in page.content())


OF_PACKAGES = (
    "/var/lib/dpkg/", "/var/lib/apt/", "/var/cache/", "/etc/ssl/certs/", "/etc/alternatives/", "/etc/ld.so.cache", "/run/reboot-required",
    "/etc/ca-certificates.conf",
)  # fmt: skip
"""Where dpkg, apt and what packages run when they are configured keep books, whoever calls them."""
BESIDE = re.compile(r"\.dpkg-(?:old|dist|new)$|/__pycache__(/[^/]+)\.cpython-\d+\.pyc$")
"""What is kept beside a package's own path: the other text of a setting, and the compiled form of a module."""


def packages(host: Host) -> dict[str, set[str]]:
    """Each installed package in its version -> the paths that are its own."""
    listed = host.sh("dpkg-query -W -f '%%${Package}:${Architecture} ${Version}\\n${db-fsys:Files}'")
    found: dict[str, set[str]] = {}
    for part in listed.split("%%")[1:]:
        head, *paths = part.splitlines()
        listed_paths = {path.strip() for path in paths if path.strip()}
        found[head] = listed_paths | {f"/usr{path}" for path in listed_paths}  # /lib and /bin are links into /usr
    return found


def of_an_upgrade(before: dict[str, set[str]], after: dict[str, set[str]]) -> set[str]:
    """The paths of every package that was changed, in its old and in its new version."""
    changed = before.keys() ^ after.keys()
    return set().union(*((before | after)[version] for version in changed))


def left_behind(difference: list[str], upgraded: set[str]) -> list[str]:
    """What neither the upgrade of the packages nor their managers' books explain."""

    def explained(path: str) -> bool:
        beside = BESIDE.search(path)
        module = beside is not None and beside.group(1) is not None
        own = BESIDE.sub(r"\1.py" if module else "", path)
        return own in upgraded or path.startswith(OF_PACKAGES)

    return [line for line in difference if not explained(line.split(" ", 2)[1].removesuffix(":"))]


@pytest.mark.holds("J-3", "J-8", "J-10", "J-11")
@pytest.mark.parametrize("user", ["admin", pytest.param("root", marks=pytest.mark.slow)])
def test_a_first_server_from_log_in_to_removal(page: Page, fresh_hub: HubProcess, host: Host, user: str) -> None:
    name = f"first-{user}"
    agent = AgentHost(host)  # what the hold below needs is there before and after
    agent.hold_scripts()
    agent.release_scripts()
    before, owned = fsdiff.look(host.sh), packages(host)
    first_log_in(page, fresh_hub)
    add_node(page, host, user, name)
    node = node_id_of(page)
    watch_it_live(page, fresh_hub, node)
    change_its_policy(page, fresh_hub, host, user, node)
    upgrade_it(page, fresh_hub, host)
    remove_it(page, node, name)
    left = left_behind(fsdiff.difference(before, fsdiff.look(host.sh)), of_an_upgrade(owned, packages(host)))
    assert not left, "\n".join(left)
