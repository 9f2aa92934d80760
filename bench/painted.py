"""When a browser that knows nothing of the app has painted a thing on a page."""

from __future__ import annotations

PAINTED = """
sign => {
    const watcher = new MutationObserver(() => {
        if (!document.querySelector(sign)) return
        watcher.disconnect()
        // The second frame begins when the first one, which shows it, has been painted.
        requestAnimationFrame(() => requestAnimationFrame(() => window.painted = performance.now()))
    })
    watcher.observe(document, {childList: true, subtree: true, attributes: true})
}
"""


def seen(chromium, address: str, sign: str) -> float:
    """Seconds from navigation until something is painted, in a context of its own: no cache, no
    cookies."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(f"({PAINTED})({sign!r})")
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.painted", timeout=60_000)
    seconds = page.evaluate("window.painted") / 1000
    context.close()
    return seconds
