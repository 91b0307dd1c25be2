"""Check the built site in a browser: links, width on a phone, console, images, accessibility.

    python .ci/check_site.py docs/_build ["api/**/*.html"]

checks all pages, or those of the pattern. It needs `pip install playwright axe-core-python` and a
Chromium, whose path `CHROMIUM` names if it is not /usr/bin/chromium. Nothing is loaded from another
host: a request for one is a finding.
"""

import os
import sys
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

PHONE, DESKTOP = 400, 1400
# of the theme, and said on file:// only, where there is no storage
HARMLESS = ("Got invalid theme mode",)
AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa"]}}
# docutils gives citations the role doc-biblioentry, which newer rules deprecate
OFF = {"aria-roles", "aria-required-children"}
WIDER = """width => [...document.querySelectorAll("article *")].filter(element => {
    for (let box = element.parentElement; box && box.tagName != "ARTICLE"; box = box.parentElement)
        if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX)) return false;
    return element.getBoundingClientRect().right > width + 1;
}).map(element => element.tagName + ": " + element.textContent.slice(0, 40))"""
LINKS = """() => [...document.querySelectorAll("a[href]")]
    .map(link => link.getAttribute("href"))"""
ANCHORS = "() => [...document.querySelectorAll('[id]')].map(element => element.id)"
WITHOUT_ALT = "() => [...document.querySelectorAll('img:not([alt])')].map(image => image.src)"


def findings_of(page: Page, axe: Axe, width: int, theme: str) -> list[str]:
    """Return what is wrong with a page that is open at this width."""
    found = [f"without alt text: {source}" for source in page.evaluate(WITHOUT_ALT)]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        found.append(f"wider than {width} pixels")
    found += [f"wider than {width} pixels: {text}" for text in page.evaluate(WIDER, width)[:3]]
    for violation in axe.run(page, options=AXE)["violations"]:
        nodes = [node["html"][:120] for node in violation["nodes"]]
        if violation["id"] not in OFF:
            found.append(f"{theme}: {violation['id']} ({len(nodes)}): {nodes[0]}")
    return found


def broken_links(links: dict[Path, list[str]], anchors: dict[Path, set[str]]) -> list[str]:
    """Return the links between pages whose page or anchor does not exist."""
    broken = []
    for path, targets in links.items():
        for target in targets:
            address, anchor = urldefrag(urljoin(path.as_uri(), target))
            if not address.startswith("file:"):
                continue
            file = Path(unquote(address.removeprefix("file://")))
            missing = anchor and file in anchors and unquote(anchor) not in anchors[file]
            if not file.exists() or missing:
                broken.append(f"{path.name}: {target}")
    return broken


def note_message(said: list[str], message: ConsoleMessage) -> None:
    """Note an error of the console."""
    if message.type == "error" and not any(word in message.text for word in HARMLESS):
        said.append(f"console: {message.text}")


def note_request(said: list[str], request: Request) -> None:
    """Note what is loaded from another host."""
    if request.url.startswith("http"):
        said.append(f"loads {request.url}")


def main(site: Path, pattern: str = "**/*.html") -> int:
    """Print what is wrong, and return how many findings there are."""
    pages = [path for path in sorted(site.glob(pattern)) if "_static" not in path.parts]
    links, anchors, findings = {}, {}, []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        for width, theme in ((DESKTOP, "light"), (PHONE, "dark")):
            page = browser.new_page(
                viewport={"width": width, "height": 900},
                color_scheme=theme,
                reduced_motion="reduce",
            )
            said: list[str] = []
            page.on("console", partial(note_message, said))
            page.on("request", partial(note_request, said))
            for path in pages:
                said.clear()
                page.goto(path.as_uri())
                found = findings_of(page, Axe(), width, theme)
                found += said
                findings += [f"{path.relative_to(site)}: {text}" for text in found]
                links[path] = page.evaluate(LINKS)
                anchors[path] = set(page.evaluate(ANCHORS))
    findings += [f"broken link in {text}" for text in sorted(set(broken_links(links, anchors)))]
    print(*findings, sep="\n")
    print(f"{len(pages)} pages, {sum(map(len, links.values()))} links, {len(findings)} findings")
    return len(findings)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), *sys.argv[2:]) > 0)
