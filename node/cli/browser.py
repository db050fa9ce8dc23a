"""The node's page in a browser: its address, with a code that signs in where one is needed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..client.client import Client


@dataclass(frozen=True, slots=True)
class PageAddress:
    """What a browser opens."""

    url: str
    expires_in: int | None
    """Seconds for which the code in it holds, for one use; None where no code is needed."""


def page_address(client: Client) -> PageAddress:
    """Asks the node for a one-time code, where it needs one. Raises ClientError."""
    said = client.post("/v1/sessions")
    code = said["code"]
    base = client.url.rstrip("/")
    if code is None:
        return PageAddress(f"{base}/", None)
    return PageAddress(f"{base}/signin#{code}", int(said["expires_in"]))


def open_browser(url: str) -> bool:
    """Open a browser window of this desktop; False where there is none."""
    if sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False  # what is left are browsers for terminals, which would take this one
    import webbrowser

    try:
        return webbrowser.open(url)
    except (webbrowser.Error, OSError):
        return False
