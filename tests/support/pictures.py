"""Screenshots compared within a browser, which needs no other tool."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page

COMPARE = """async ([before, after, apart]) => {
    const read = async (data) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
        const canvas = new OffscreenCanvas(image.width, image.height);
        const ink = canvas.getContext("2d", {willReadFrequently: true});
        ink.drawImage(image, 0, 0);
        return ink.getImageData(0, 0, image.width, image.height);
    };
    const [old, now] = [await read(before), await read(after)];
    if (old.width !== now.width || old.height !== now.height) return {share: 1, image: "", boxes: [`${old.width}x${old.height} became ${now.width}x${now.height}`]};
    const seen = new ImageData(now.width, now.height);
    const cells = new Map();
    let different = 0;
    for (let at = 0; at < now.data.length; at += 4) {
        const gap = Math.max(...[0, 1, 2].map((part) => Math.abs(old.data[at + part] - now.data[at + part])));
        const far = gap > apart;
        if (far) {
            different += 1;
            const x = (at / 4) % now.width, y = Math.floor(at / 4 / now.width);
            const cell = `${Math.floor(x / 80) * 80},${Math.floor(y / 40) * 40}`;
            cells.set(cell, (cells.get(cell) ?? 0) + 1);
        }
        for (const part of [0, 1, 2]) seen.data[at + part] = far ? [255, 0, 80][part] : now.data[at + part] / 3;
        seen.data[at + 3] = 255;
    }
    const canvas = new OffscreenCanvas(now.width, now.height);
    canvas.getContext("2d").putImageData(seen, 0, 0);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({type: "image/png"})).arrayBuffer());
    const boxes = [...cells].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([cell, count]) => `${count} at ${cell}`);
    return {share: different / (now.width * now.height), boxes, image: bytes.toBase64 ? bytes.toBase64() : btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))};
}"""


class Difference(NamedTuple):
    """How two pictures differ."""

    share: float
    """Of all points."""
    boxes: list[str]
    """Where the most of it is."""
    image: bytes
    """The newer picture, dark, with what differs in red."""


def difference(page: Page, before: Path, after: bytes, *, apart: int) -> Difference:
    """Compare; a point differs when one of its colours is more than `apart` of 255 away. The page must be a blank one."""
    found = page.evaluate(COMPARE, [base64.b64encode(before.read_bytes()).decode(), base64.b64encode(after).decode(), apart])
    return Difference(found["share"], found["boxes"], base64.b64decode(found["image"]))
