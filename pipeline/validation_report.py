"""What validation found, as JSON for programs and as one page of HTML for people."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from pipeline.stages.validate import Validation

if TYPE_CHECKING:
    from jinja2 import Template

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
:root { --ink: #1b1f24; --soft: #5b6470; --line: #dfe3e8; --paper: #fff; --band: #f5f7f9;
  --bar: #3b6fb6; --bad: #b3261e; --bad-band: #fdf1f0; --odd: #8a5a00; --odd-band: #fdf7e8;
  --good: #1e7a3c; --good-band: #eef8f1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4b0; --line: #343b44;
  --paper: #15181c; --band: #1d2126; --bar: #6f9fe0; --bad: #ff8a80; --bad-band: #2b1a19;
  --odd: #e8b95a; --odd-band: #2a2416; --good: #7bd39a; --good-band: #17261c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
.soft { color: var(--soft); font-size: .875rem; }
.verdict, .fault, .odd { border-left: 4px solid; border-radius: 4px; padding: .6rem .9rem;
  margin: .6rem 0; overflow-wrap: anywhere; }
.good { border-color: var(--good); background: var(--good-band); }
.bad, .fault { border-color: var(--bad); background: var(--bad-band); }
.odd { border-color: var(--odd); background: var(--odd-band); }
.figures { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
.figure { flex: 1 1 10rem; padding: .6rem .9rem; background: var(--band); border-radius: 6px; }
.figure b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
  gap: .9rem; }
.column { border: 1px solid var(--line); border-radius: 6px; padding: .8rem .9rem; min-width: 0; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; margin-top: .5rem;
  font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: normal; text-align: left; }
th, td { padding: .2rem .5rem .2rem 0; border-top: 1px solid var(--line); vertical-align: top; }
tr > :last-child { padding-right: 0; }
td:first-child { overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; }
.share { width: 35%; }
.bar { display: block; height: .5rem; margin-top: .4rem; border-radius: 2px;
  background: var(--line); }
.bar i { display: block; height: 100%; border-radius: 2px; background: var(--bar); }
.hint { margin-top: .4rem; }
code { font: .875em ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="soft">Every row checked against the data contract. Rows are counted with their copies.</p>
{% if faults %}
<p class="verdict bad"><b>Refused:</b>
  {{ faults|length }} {{ "rule is" if faults|length == 1 else "rules are" }} broken.</p>
{% else %}
<p class="verdict good"><b>Accepted:</b> every rule holds.</p>
{% endif %}
<div class="figures">
<div class="figure"><b>{{ v.n_rows|count }}</b> rows</div>
<div class="figure"><b>{{ v.n_distinct|count }}</b> distinct rows</div>
<div class="figure"><b>{{ v.n_positive|count }}</b> positive rows</div>
<div class="figure"><b>{{ (v.n_positive / (v.n_rows or 1))|percent }}</b> positive</div>
</div>
{% if faults %}
<h2>Faults</h2>
{% for fault in faults %}
<div class="fault">
<h3>{{ fault.column or "The table" }} {{ fault.rule }}</h3>
{% if fault.examples %}
<div>{{ fault.n_rows|count }} {{ "row" if fault.n_rows == 1 else "rows" }}
  ({{ fault.share|percent }}){% if fault.lines %},
  {{ "line" if fault.lines|length == 1 else "first lines" }} {{ fault.lines|join(", ") }}
  {%- endif %}</div>
<table>
<tr><th>offending value</th><th class="n">rows</th></tr>
{% for value, n in fault.examples %}
<tr><td><code>{{ value|quoted }}</code></td><td class="n">{{ n|count }}</td></tr>
{% endfor %}
</table>
{% endif %}
{% if fault.hint %}<div class="hint">{{ fault.hint }}</div>{% endif %}
</div>
{% endfor %}
{% endif %}
{% if v.warnings %}
<h2>Worth knowing</h2>
{% for line in v.warnings %}<p class="odd">{{ line }}</p>
{% endfor %}
{% endif %}
<h2>Columns</h2>
<div class="columns">
{% for column in v.profile %}
<section class="column">
<h3>{{ column.name }}</h3>
<div class="soft">{{ column.kind }},
  {{ column.n_missing|count if column.n_missing else "none" }} missing</div>
<table>
{% if column.kind == "numeric" %}
{% for label, x in (("minimum", column.minimum), ("mean", column.mean),
  ("maximum", column.maximum)) %}
<tr><td>{{ label }}</td><td class="n">{{ "–" if x is none else "%.6g"|format(x) }}</td></tr>
{% endfor %}
{% else %}
<tr><th>value</th><th class="n">rows</th><th class="n">positive</th><th class="share"></th></tr>
{% for category in column.categories %}
<tr><td>{{ category.value }}</td><td class="n">{{ category.n_rows|count }}</td>
<td class="n">{{ category.positive_share|percent }}</td>
<td class="share"><span class="bar">
  <i style="width: {{ '%.1f'|format(100 * category.positive_share) }}%"></i></span></td></tr>
{% endfor %}
{% endif %}
</table>
</section>
{% endfor %}
</div>
</body>
</html>
"""


def report_json(validation: Validation) -> str:
    """Everything but the rows themselves, as JSON; each fault with its message."""
    tree = {
        field.name: getattr(validation, field.name)
        for field in fields(validation)
        if field.name not in ("table", "faults", "profile")
    }
    tree["accepted"] = not validation.faults
    tree["faults"] = [asdict(fault) | {"message": fault.message} for fault in validation.faults]
    tree["profile"] = [asdict(column) for column in validation.profile]
    return json.dumps(tree, indent=2, allow_nan=False) + "\n"


def report_html(validation: Validation, title: str) -> str:
    """A page that needs nothing but itself; whatever the table holds is shown as text."""
    page: str = template().render(v=validation, faults=validation.faults, title=title)
    return page


@functools.cache
def template() -> Template:
    """The page, compiled."""
    from jinja2 import Environment, StrictUndefined

    from pipeline.stages.hints import quoted

    pages = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters.update(
        count=lambda n: f"{n:,}".replace(",", "\u202f"),  # a narrow space between thousands
        percent=lambda share: f"{100 * share:.1f} %",
        quoted=quoted,
    )
    return pages.from_string(PAGE)
