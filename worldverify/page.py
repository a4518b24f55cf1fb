"""The skeleton of a self-contained HTML page: nothing loaded, no script, hostile text made harmless."""

import html
import re

# A page may show what a model wrote, so it allows nothing but its own style and embedded pictures.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

# Lone surrogates, and marks that reorder or hide the text around them.
_UNPRINTABLE = re.compile("[\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u0080-\u009f]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def safe(text: object) -> str:
    """Any text as HTML text or attribute value: escaped, control characters made visible."""
    words = str(text).replace("\r\n", "\n")
    words = _CONTROL.sub(lambda found: chr(0x2400 + min(ord(found[0]), 0x21)), words)
    return html.escape(_UNPRINTABLE.sub("\ufffd", words), quote=True)


def page(title: str, body: str) -> str:
    """The whole document; `body` is HTML already."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY, quote=True)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{safe(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


_STYLE = """
:root { --ink: #1f2733; --faint: #5d6876; --line: #dfe3e9; --ground: #f5f6f8; --card: #fff;
  --pass: #1c7c43; --fail: #c0271f; --invalid: #5b6270; --inconclusive: #8a6410; --link: #1b5fb4; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 28px 64px; }
h1 { font-size: 26px; line-height: 1.2; letter-spacing: -0.01em; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 40px 0 12px; }
h3 { font-size: 18px; margin: 0; display: flex; align-items: center; gap: 10px; flex-wrap: wrap; }
h4 { font-size: 12px; font-weight: 600; color: var(--faint); margin: 20px 0 6px; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.mono { font-size: 12.5px; overflow-wrap: anywhere; }
.faint { color: var(--faint); }
.num { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.bdi { unicode-bidi: isolate; overflow-wrap: anywhere; }
.chip { display: inline-block; padding: 1px 9px 2px; border-radius: 10px; color: #fff; font-size: 12px;
  font-weight: 600; line-height: 18px; white-space: nowrap; background: var(--invalid); }
.chip.pass { background: var(--pass); } .chip.fail { background: var(--fail); }
.chip.inconclusive { background: var(--inconclusive); }
.facts { display: flex; flex-wrap: wrap; gap: 2px 26px; margin: 10px 0 0; padding: 0; color: var(--faint); }
.facts b { color: var(--ink); font-weight: 500; }
.bar { display: flex; height: 10px; border-radius: 5px; overflow: hidden; margin: 22px 0 14px; gap: 2px; }
.bar span { background: var(--invalid); min-width: 4px; }
.bar .pass { background: var(--pass); } .bar .fail { background: var(--fail); }
.bar .inconclusive { background: var(--inconclusive); }
.quote { margin: 18px 0 0; padding: 10px 14px; border-left: 3px solid var(--line); background: var(--card);
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 220px; overflow: auto; }
input.pick { position: absolute; opacity: 0; }
.picks { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 14px; }
.picks label { padding: 3px 12px 4px; border: 1px solid var(--line); border-radius: 15px;
  background: var(--card); cursor: pointer; }
.picks label b { font-variant-numeric: tabular-nums; margin-left: 4px; }
input.pick:focus-visible ~ .picks { outline: 2px solid var(--link); outline-offset: 3px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-size: 12px; font-weight: 600; color: var(--faint); white-space: nowrap; }
tr:last-child > td { border-bottom: 0; }
td.why { min-width: 280px; } td.name { min-width: 140px; }
.entry { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--invalid);
  border-radius: 8px; padding: 18px 22px 20px; margin: 0 0 24px; scroll-margin-top: 12px; }
.entry.pass { border-top-color: var(--pass); } .entry.fail { border-top-color: var(--fail); }
.entry.inconclusive { border-top-color: var(--inconclusive); }
.entry .up { margin-left: auto; font-size: 13px; font-weight: 400; }
.entry .reason { margin: 8px 0 0; font-size: 16px; }
.warn { margin: 6px 0 0; padding: 0; list-style: none; color: var(--inconclusive); }
.frames { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0 0; }
figure { margin: 0; flex: 1 1 240px; max-width: 346px; }
figure img { display: block; width: 100%; height: auto; border-radius: 6px; border: 1px solid var(--line); }
figcaption { font-size: 13px; color: var(--faint); margin-top: 4px; overflow-wrap: anywhere; }
figcaption b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr));
  gap: 12px 20px; margin: 16px 0 0; }
.chart { width: 100%; max-width: 560px; height: auto; display: block; }
.holds { color: var(--pass); font-weight: 600; } .broken { color: var(--fail); font-weight: 600; }
.open { color: var(--inconclusive); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin: 14px 0 0; } summary { cursor: pointer; color: var(--link); }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px;
  margin: 8px 0 0; font-size: 12.5px; line-height: 1.45; white-space: pre-wrap; overflow-wrap: anywhere;
  max-height: 420px; overflow: auto; }
@media print { body { background: #fff; } .entry { break-inside: avoid; } .picks, .up { display: none; } }
"""
