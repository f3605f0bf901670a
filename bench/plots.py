"""The drawings of docs/performance.md: SVG files that stand alone, without scripts, fonts or styles from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Any
from xml.etree.ElementTree import Element

import pygal  # type: ignore[import-untyped]  # it ships no types
from pygal.style import Style  # type: ignore[import-untyped]  # as above

from .common import ROOT

#: Side to its name in the key; the first is drawn first.
_SIDES = {"tenantry": "Tenantry", "plain": "plain Flask"}
_LOOK = Style(
    background="white",
    plot_background="white",
    foreground="#333333",
    foreground_strong="#111111",
    foreground_subtle="#999999",
    colors=("#0b6e99", "#b3261e"),
    font_family="sans-serif",
    title_font_size=18,
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
    stroke_width=3,
    guide_stroke_color="#dddddd",
    major_guide_stroke_color="#bbbbbb",
)


def draw_build(result: dict[str, Any]) -> None:
    """Draw what building apps takes, as docs/build-time.svg and docs/build-memory.svg.

    :param result: of :func:`bench.build.run`.
    """
    sizes = result["sizes"]
    _draw("build-time", "Seconds to build all tenants' apps", sizes, "total_us", 1e6)
    _draw("build-memory", "MiB of memory that all tenants' apps take", sizes, "private_bytes", 1024 * 1024)


def _draw(name: str, title: str, sizes: Sequence[dict[str, Any]], figure: str, unit: float) -> None:
    rows = {label: [_point(size, side, figure, unit) for size in sizes] for side, label in _SIDES.items()}
    chart = pygal.Line(
        title=title,
        x_title="tenants",
        x_labels=[f"{size['tenants']:,}" for size in sizes],
        y_labels=_powers_of_ten([value for row in rows.values() for value in row if value is not None]),
        logarithmic=True,
        legend_at_bottom=True,
        dots_size=5,
        width=720,
        height=420,
        style=_LOOK,
        value_formatter=lambda value: f"{value:,g}",
        js=[],
        no_prefix=True,  # or ids would be other ones each time
        disable_xml_declaration=True,
    )
    for label, row in rows.items():
        chart.add(label, row)
    chart.add_xml_filter(_without_scripts)
    (ROOT / "docs" / f"{name}.svg").write_text(chart.render() + "\n", encoding="utf-8")


def _point(size: dict[str, Any], side: str, figure: str, unit: float) -> float | None:
    """Return what was measured; ``None``, which leaves a gap, where nothing was."""
    value = size[side][figure]["median"] / unit if side in size else 0
    return round(value, 6) if value > 0 else None


def _powers_of_ten(values: Sequence[float]) -> list[float]:
    """Return the powers of ten around some values, for the axis."""
    return [10.0**power for power in range(floor(log10(min(values))), ceil(log10(max(values))) + 1)]


def _without_scripts(root: Element) -> Element:
    """Take out pygal's settings, which only its script would read, and its comments, one of which is the date."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] == "script":
                parent.remove(child)
    return root
