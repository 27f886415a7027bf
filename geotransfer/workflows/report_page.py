"""A report as one HTML file: no script, no request, every text escaped, made to be printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Content security policy: should anything slip through, a browser still loads and runs nothing."""

_CSS = """
:root{color-scheme:light dark;
--ink:#1b2733;--soft:#4a5560;--line:#c3ccd3;--paper:#fff;--tint:#f2f5f7}
@media (prefers-color-scheme:dark){:root{--ink:#e8edf1;--soft:#b3bfca;--line:#3d4852;
--paper:#14181d;--tint:#1e252d}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.5rem;max-width:60rem;color:var(--ink);background:var(--paper);
font:15px/1.45 system-ui,sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.1rem;margin:1.6rem 0 .5rem;padding-bottom:.2rem;border-bottom:1px solid var(--line)}
p{margin:.4rem 0}
.soft,figcaption,footer{color:var(--soft);font-size:.87rem}
.kind{display:inline-block;padding:.1rem .6rem;border:1px solid currentColor;border-radius:1rem;
font-size:.85rem;font-weight:600}
.simulated{border-style:dashed}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));
gap:.7rem;margin:1rem 0}
.card{background:var(--tint);border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem}
.card b{display:block;font-size:1.5rem;line-height:1.25}
.wide{overflow-x:auto}
.pair{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:0 2rem}
@media (max-width:46rem){.pair{grid-template-columns:1fr}}
caption{text-align:left;padding:.6rem 0 .2rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:anywhere}
thead th{white-space:nowrap;color:var(--soft);font-weight:600;overflow-wrap:normal}
tbody th{font-weight:500;min-width:5.5em}
figure{margin:0}
figure img{display:block;width:100%;max-height:36rem;object-fit:contain;object-position:left top;
image-rendering:pixelated}
.scale{border:2px solid var(--ink);border-top:0;height:.45rem;margin-top:.5rem}
.swatch{display:inline-block;width:1rem;height:.75rem;border:1px solid #8888;margin-right:.35rem;
vertical-align:-.05rem}
.legend span{margin-right:1.2rem}
@media print{
@page{size:A4;margin:14mm}
:root{--ink:#000;--soft:#333;--line:#999;--paper:#fff;--tint:#fff}
body{padding:0;max-width:none;font-size:10pt}
h2{break-after:avoid}
tr,figure,.card,.cards{break-inside:avoid}
figure img{max-height:105mm}
.pair{grid-template-columns:3fr 2fr}
.swatch,figure img{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""


def make_page(title: str, parts: Sequence[str]) -> str:
    """Return the whole document; ``parts`` are HTML made by the functions below."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def make_pair(left: str, right: str) -> str:
    """Return two parts side by side, where there is room."""
    return f'<div class="pair"><div>{left}</div><div>{right}</div></div>'


def make_heading(text: str) -> str:
    """Return a section's heading."""
    return f"<h2>{escape(text)}</h2>"


def make_text(text: str, *, is_soft: bool = False) -> str:
    """Return a paragraph."""
    return f'<p class="soft">{escape(text)}</p>' if is_soft else f"<p>{escape(text)}</p>"


def make_cards(cards: Sequence[tuple[str, str, str]]) -> str:
    """Return figures to be seen first: name, figure, what it rests on."""
    shown = "".join(
        f'<div class="card">{escape(name)}<b>{escape(figure)}</b>'
        f'<span class="soft">{escape(note)}</span></div>'
        for name, figure, note in cards
    )
    return f'<div class="cards">{shown}</div>'


def _bind_units(text: str) -> str:
    """Keep a number and its unit on one line."""
    return re.sub(r"(?<=\d) (?=(?:km²|MB|Wh|USD)(?:\s|$))", "\u00a0", text)


def make_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> str:
    """Return a table whose first column names the rows."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{_bind_units(escape(cell))}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    told = f'<caption class="soft">{escape(caption)}</caption>' if caption else ""
    return (
        f'<div class="wide"><table>{told}<thead><tr>{top}</tr></thead><tbody>{lines}</tbody>'
        "</table></div>"
    )
