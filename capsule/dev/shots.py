"""Pictures of the page against the scripted hub: `python dev/shots.py [NAME…]` (needs Chromium and playwright)."""

import asyncio
import pathlib
import sys

from playwright.async_api import async_playwright

OUT = pathlib.Path(__file__).parent / "shots"
BASE = "http://127.0.0.1:8940"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACA\n-----END OPENSSH PRIVATE KEY-----\n"


async def main(wanted: list[str]) -> None:
    OUT.mkdir(exist_ok=True)
    async with async_playwright() as p:
        browser = await p.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        for theme in ("dark", "light"):
            for size, (w, h, s) in {"desktop": (1440, 900, 1), "mobile": (390, 844, 2)}.items():
                context = await browser.new_context(viewport={"width": w, "height": h}, device_scale_factor=s, has_touch=size == "mobile")
                await context.add_cookies([{"name": "theme", "value": theme, "url": BASE}])
                page = await context.new_page()
                page.on("console", lambda m: print("console", m.type, m.text) if m.type in ("error", "warning") else None)
                page.on("pageerror", lambda e: print("pageerror", e))

                async def shot(name: str, full: bool = False, page=page, tag=f"{size}-{theme}") -> None:
                    await page.screenshot(path=OUT / f"{name}-{tag}.png", full_page=full)

                def want(name: str, tag=f"{size}-{theme}") -> bool:
                    return not wanted or any(x in f"{name}-{tag}" for x in wanted)

                await page.goto(BASE)
                await page.evaluate("fetch('/api/v1/auth/logout',{method:'POST',body:'{}'})")
                await page.goto(BASE)
                await page.get_by_label("User name").fill("admin")
                if want("login"):
                    await page.get_by_label("Password", exact=True).fill("wrong")
                    await page.get_by_role("button", name="Sign in").click()
                    await page.get_by_role("alert").wait_for()
                    await shot("login-wrong")
                    await page.get_by_label("Password", exact=True).fill("admin")
                    await page.get_by_role("button", name="Sign in").click()
                    await page.get_by_label("New password", exact=True).fill("correct horse battery")
                    await shot("login-change")
                    await page.get_by_label("Repeat it", exact=True).fill("correct horse battery")
                    await page.get_by_role("button", name="Set password and continue").click()
                else:
                    await page.get_by_label("Password", exact=True).fill("good")
                    await page.get_by_role("button", name="Sign in").click()
                await page.get_by_label("Fleet vitals").wait_for()
                await page.wait_for_timeout(2500)
                if want("fleet"):
                    await shot("fleet")
                if want("node"):
                    await page.locator('[data-node]').filter(has_text="db-01").first.click()
                    await page.wait_for_timeout(3000)
                    await shot("node")
                    await shot("node-full", full=True)
                    await page.get_by_role("radio", name="24h").click()
                    await page.wait_for_timeout(1200)
                    await shot("node-24h")
                    await page.get_by_role("tab", name="Settings").click()
                    await page.wait_for_timeout(400)
                    await shot("node-settings")
                    await page.goto(BASE)
                    await page.get_by_label("Fleet vitals").wait_for()
                if want("add"):
                    await page.get_by_role("button", name="Add node").locator("visible=true").first.click()
                    await page.wait_for_timeout(500)
                    await page.get_by_label("Host name or IP").fill("wrong-sudo")
                    await page.get_by_label("SSH user").fill("deploy")
                    await page.get_by_label("Private key file").set_input_files({"name": "id_ed25519", "mimeType": "text/plain", "buffer": KEY.encode()})
                    await page.wait_for_timeout(300)
                    await shot("add-form")
                    await page.get_by_role("button", name="Connect", exact=True).click()
                    await page.get_by_text("The fingerprints match").click()
                    await shot("add-hostkey")
                    await page.get_by_role("button", name="Trust and deploy").click()
                    await page.get_by_role("alert").wait_for()
                    await page.wait_for_timeout(300)
                    await shot("add-failed")
                    await page.get_by_label("sudo password of deploy", exact=True).fill("x")
                    await page.get_by_role("button", name="Retry from").click()
                    await page.wait_for_timeout(2200)
                    await shot("add-deploy")
                    await page.get_by_role("button", name="Open node").wait_for()
                    await shot("add-done")
                    await page.get_by_role("button", name="Close", exact=True).last.click()
                if want("job"):
                    await page.get_by_role("navigation").get_by_role("link", name="Jobs").locator("visible=true").click()
                    await page.wait_for_timeout(800)
                    await shot("jobs")
                    await page.get_by_role("row").filter(has_text="edge-ams").first.click()
                    await page.wait_for_timeout(4000)
                    await shot("job")
                await context.close()
        await browser.close()


asyncio.run(main(sys.argv[1:]))
