"""A page in a real browser, with nothing of the network but what it came from."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def opened(browser, address: str, *, before: str = "", **options: object) -> Iterator:
    """Open a page; fail on any error in it and on any request to another host."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    context.add_init_script(before)
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: line.type == "error" and trouble.append(line.text))
    page.on("dialog", lambda dialog: (trouble.append("a dialog"), dialog.dismiss()))
    origin = "/".join(address.split("/")[:3])
    page.on(
        "request",
        lambda request: (
            request.url.startswith((origin, "data:", "blob:")) or trouble.append(request.url)
        ),
    )
    page.goto(address)
    yield page
    context.close()
    assert not trouble
