"""Pictures made safe to serve: known by their content, decoded, and written anew.

Only what the decoder makes of a file is kept: no metadata (where a photo was taken, a colour profile, comments), and
nothing that was hidden before, between or behind the picture. Of an animation, the first frame is kept.
"""

from __future__ import annotations

import threading
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BadPicture

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pillow's name of each format that is taken, to its media type.
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
#: Most pixels of a picture. Decoded, one of them takes up to four bytes.
MAX_PIXELS = 40_000_000
#: Most scans of a progressive JPEG, each of which is decoded over the whole picture. Real ones have about ten.
_MAX_SCANS = 30
_START_OF_SCAN = b"\xff\xda"  # ITU T.81, table B.1

#: What is kept as it is; other kinds of pixels become ``RGB`` or ``RGBA``.
_MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "JPEG": ("L", "RGB"),
    "GIF": ("L", "P"),
    "WEBP": ("RGB", "RGBA"),
}
_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 88}, "WEBP": {"quality": 88}}
#: Two at a time in a process, as a large one takes some hundred MiB while it is decoded.
_PLACES = threading.BoundedSemaphore(2)


class Picture(NamedTuple):
    """A picture that is safe to serve.

    :ivar media_type: e.g. ``image/png``.
    :ivar width: in pixels; so is ``height``.
    """

    content: bytes
    media_type: str
    width: int
    height: int


def clean(content: bytes) -> Picture:
    """Return a picture written anew, upright, in the format that it came in.

    :raises BadPicture: if it is none of PNG, JPEG, GIF or WebP, is broken, or has too many pixels.
    """
    with _PLACES:
        try:
            return _write_anew(content)
        except BadPicture:
            raise
        except Exception as error:  # a broken file makes Pillow raise nearly anything
            raise BadPicture("broken") from error


def _write_anew(content: bytes) -> Picture:
    # Pillow is for those who have pictures, and takes as long to import as a tenant's app does to build.
    from PIL import ImageOps

    with _open(content) as image:
        format = "JPEG" if image.format == "MPO" else str(image.format)  # a JPEG with further views behind it
        scans = content.count(_START_OF_SCAN) if format == "JPEG" else 0
        if image.width * image.height > MAX_PIXELS or scans > _MAX_SCANS:
            raise BadPicture("large")
        bare = _bare(ImageOps.exif_transpose(image), format)
    written = BytesIO()
    bare.save(written, format, **_OPTIONS.get(format, {}))
    return Picture(written.getvalue(), FORMATS[format], bare.width, bare.height)


def _open(content: bytes) -> Image:
    """Read a picture's head, and not its pixels yet."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(BytesIO(content), formats=tuple(FORMATS))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadPicture("large") from None
    except UnidentifiedImageError:
        raise BadPicture("svg" if b"<svg" in content[:2000].lower() else "unknown") from None


def _bare(image: Image, format: str) -> Image:
    """Return the pixels alone, in a kind that the format has."""
    if image.mode.startswith("I"):  # 16 bits of grey, of which the upper eight are kept
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode not in _MODES[format]:
        see_through = format != "JPEG" and image.has_transparency_data
        image = image.convert("RGBA" if see_through else "RGB")
    bare = image.copy()
    bare.info = {key: value for key, value in image.info.items() if key == "transparency"}
    return bare
