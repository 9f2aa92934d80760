"""What a page will draw with, told to browsers before they ask.

Streamlit loads the code of an element only when the first one arrives. A header lets the browser
fetch and compile it while the page itself still starts.
"""

from __future__ import annotations

from pathlib import Path

from streamlit import file_util

ELEMENTS = {"Compare": ("PlotlyChart",)}
"""Per page the large elements on it; Plotly's code has 4.7 MB."""
SCRIPTS = "static/js"


def links(folder: Path | None = None) -> dict[str, str]:
    """Per page its Link header (RFC 8288); pages without one need none or cannot have one.

    Args:
        folder: Streamlit's browser files, whose names change from version to version.
    """
    scripts = (folder or Path(file_util.get_static_dir())) / SCRIPTS
    made = {
        page: ", ".join(
            f"<./{SCRIPTS}/{file.name}>; rel=modulepreload; crossorigin"
            for element in elements
            for file in sorted(scripts.glob(f"{element}.*.js"))
        )
        for page, elements in ELEMENTS.items()
    }
    return {page: header for page, header in made.items() if header}
