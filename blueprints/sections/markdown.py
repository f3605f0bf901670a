"""Markdown to HTML that is safe to show, whoever wrote it.

markdown-it's ``js-default`` preset is CommonMark with tables; it escapes raw HTML and refuses links to scripts
(``javascript:``, ``vbscript:``, ``file:``, and ``data:`` but for pictures).

An address that begins with ``-/``, as that of an uploaded picture does, is one of the section that the text is shown
in, whichever door it is read through and however deep the page lies.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any, cast

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

_MARKDOWN = MarkdownIt("js-default", {"linkify": False})
_OWN = "-/"
#: Most opening brackets of a page. Each may begin a link, which is looked for to the end of its paragraph: 50 µs each.
MOST_BRACKETS = 2000


def render(text: str, base: str = "", below: int = 1) -> Markup:
    """Return Markdown as safe HTML; as it stands, if it has more brackets than a page may have.

    :param base: path of the section, with which addresses that begin with ``-/`` are completed.
    :param below: level of the heading that it stands under, so that its own go on from there.
    """
    if text.count("[") > MOST_BRACKETS:
        return Markup("<pre>{}</pre>").format(text)
    return Markup(_MARKDOWN.render(text, {"base": base, "below": below}))  # noqa: S704  # made safe by the preset


def _image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    _complete(tokens[index], "src", env)
    tokens[index].attrSet("loading", "lazy")
    return renderer.image(tokens, index, options, env)


def _link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    _complete(tokens[index], "href", env)
    return renderer.renderToken(tokens, index, options, env)


def _heading(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    token.tag = f"h{min(int(token.tag[1]) + env['below'], 6)}"
    return renderer.renderToken(tokens, index, options, env)


def _complete(token: Token, name: str, env: MutableMapping[str, Any]) -> None:
    address = cast(str, token.attrGet(name) or "")
    if address.startswith(_OWN):
        token.attrSet(name, env["base"] + address)


_MARKDOWN.add_render_rule("image", _image)
_MARKDOWN.add_render_rule("link_open", _link)
_MARKDOWN.add_render_rule("heading_open", _heading)
_MARKDOWN.add_render_rule("heading_close", _heading)
# It compiles its rules at the first text, and two first readers at once would get in each other's way.
render("ready")
