"""Small pieces of a page; every text in them is escaped."""

import base64
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #c8ccd0; --soft: #5a6470;
  --box: #f3f5f7; --warn: #9a3412; --text: #16191d; --page: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --line: #3d454e;
  --soft: #a3adb8; --box: #20262c; --warn: #fdba74; --text: #e8ebee;
  --page: #14181c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; color: var(--text);
  background: var(--page); font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line);
  border-radius: 4px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: 0.9rem; width: 100%; }
th, td { padding: 0.3rem 0.7rem; text-align: right; white-space: nowrap;
  overflow-wrap: normal;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--page); }
tr:last-child td { border-bottom: 0; }
thead th, thead th:first-child { background: var(--box);
  white-space: normal; vertical-align: bottom; }
td.apart { font-weight: 700; }
figure .scroll { width: fit-content; max-width: 100%; }
th.wide, td.wide { white-space: normal; overflow-wrap: anywhere;
  text-align: left; min-width: 16rem; }
figure { margin: 1rem 0; }
figure img { display: block; width: 100%; background: #fff; }
figcaption, .note { color: var(--soft); font-size: 0.9rem; }
pre { background: var(--box); padding: 0.6rem; overflow-x: auto;
  overflow-wrap: normal; border-radius: 4px; }
dt { font-weight: 700; } dd { margin: 0 0 0.4rem 1rem; }
.verdict { border-left: 4px solid #0072b2; padding: 0.2rem 0 0.2rem 1rem;
  font-size: 1.1rem; }
.warnings li { color: var(--warn); }
"""


def page(title, parts) -> str:
    """Returns a whole page that needs no other file.

    Args:
        title: String.
        parts: List of strings of HTML.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, '
        f'initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def element(name, text, cls=None) -> str:
    """Returns an element that holds a text.

    Args:
        name: String, of the element.
        text: String.
        cls: String or `None`, its class.
    """
    attribute = f' class="{escape(cls)}"' if cls else ""
    return f"<{name}{attribute}>{escape(str(text))}</{name}>"


def bullets(lines, cls=None) -> str:
    """Returns a list of texts."""
    attribute = f' class="{escape(cls)}"' if cls else ""
    items = "\n".join(element("li", line) for line in lines)
    return f"<ul{attribute}>\n{items}\n</ul>"


def table(header, rows) -> str:
    """Returns a table that scrolls in a box of its own.

    Args:
        header: List of strings, or of `(string, class)`.
        rows: List of lists of the same.
    """
    head, body = _row("th", header), "\n".join(_row("td", r) for r in rows)
    return (
        '<div class="scroll" tabindex="0"><table>\n'
        f"<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n"
        "</table></div>"
    )


def facts(values) -> str:
    """Returns a list of names and what they stand for.

    Args:
        values: Dict.
    """
    pairs = "\n".join(
        element("dt", name) + element("dd", value)
        for name, value in values.items()
    )
    return f"<dl>\n{pairs}\n</dl>"


def details(title, content) -> str:
    """Returns HTML that shows when its title is clicked.

    Args:
        title: String.
        content: String of HTML.
    """
    title = element("summary", title)
    return f"<details>\n{title}\n{content}\n</details>"


def picture(png, width, alternative, caption) -> str:
    """Returns a picture, part of the page itself.

    On narrow screens it scrolls in its box instead of becoming too small to
    read.

    Args:
        png: Bytes of a PNG file.
        width: Integer, its width in pixels of the page.
        alternative: String, what it shows, for those who cannot see it.
        caption: String.
    """
    data = base64.b64encode(png).decode("ascii")
    style = f"max-width: {width}px; min-width: {min(width, 720)}px"
    return (
        '<figure>\n<div class="scroll" tabindex="0">'
        f'<img src="data:image/png;base64,{data}" style="{style}" '
        f'alt="{escape(alternative)}"></div>\n'
        f"{element('figcaption', caption)}\n</figure>"
    )


def _row(name, cells):
    texts = [(c,) if isinstance(c, str) else c for c in cells]
    return f"<tr>{''.join(element(name, *text) for text in texts)}</tr>"
