"""Uploaded pictures: what is taken, what is left of it, how much of it, and how it is served."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image, PngImagePlugin
from sqlalchemy import text
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from tenantry import Platform, db, pictures, uploads
from tenantry.errors import BadPicture
from tenantry.testing import TenantClient, client_of

LIST = "/help/-/pictures/"
Save = Callable[..., Any]


@pytest.fixture
def tenants_toml() -> str:
    """Two tenants with both doors, and one with little room."""
    return """
[defaults]
languages = ["en", "de"]
sections = ["help", "faq"]
limits = { upload_mb = 2 }
[tenants.acme]
path = "/acme"
hosts = ["acme.localhost"]
[tenants.globex]
path = "/globex"
hosts = ["globex.localhost"]
[tenants.small]
path = "/small"
limits = { uploads_mb = 1, upload_mb = 2 }
"""


def drawn(format: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    """A picture: its left half is red, where there are colours."""
    image = Image.new("RGB", size, "white")
    image.paste((200, 0, 0), (0, 0, size[0] // 2, size[1]))
    written = io.BytesIO()
    if mode == "I;16":  # of which the upper eight bits are what is to be seen
        Image.frombytes(mode, size, bytes(part for value in image.convert("L").tobytes() for part in (0, value))).save(
            written, format
        )
    else:
        image.convert(mode).save(written, format, **options)
    return written.getvalue()


def noise(size: int) -> bytes:
    """A PNG that cannot be made smaller, of about three bytes a pixel."""
    written = io.BytesIO()
    Image.frombytes("RGB", (size, size), os.urandom(size * size * 3)).save(written, "PNG")
    return written.getvalue()


def upload(client: TenantClient, content: bytes, name: str = "a.png", alt: str = "") -> TestResponse:
    return client.submit(LIST, {"file": (io.BytesIO(content), name), "alt": alt})


def ids(client: TenantClient) -> list[str]:
    return re.findall(r'src="[^"]*/pictures/([0-9a-f]{32})"', client.get(LIST).text)


def files(client: TenantClient) -> list[Path]:
    return sorted((client.tenant.state / "uploads").glob("*"))


def rows(client: TenantClient) -> int:
    with client.platform.tenant(client.tenant.slug):
        return db.session.query(uploads.Upload).count()


def tags(page: str) -> set[str]:
    """The names of all elements of a page, and of all their attributes."""
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update((tag, *(name for name, _ in attrs)))

    Reader().feed(page)
    return found


def same_but_for_address(answer: TestResponse) -> str:
    """A page without its own address, which it has in its links to other languages."""
    return answer.text.replace(quote(answer.request.path, safe="/'=").replace("'", "&#39;"), "")


@pytest.fixture
def staff(acme: TenantClient) -> TenantClient:
    acme.log_in("ada", "staff")
    return acme


@pytest.mark.parametrize(
    ("format", "mode", "media_type"),
    [
        ("PNG", "RGB", "image/png"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "1", "image/png"),
        ("PNG", "I;16", "image/png"),
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("GIF", "P", "image/gif"),
        ("WEBP", "RGBA", "image/webp"),
    ],
)
def test_each_format_is_known_by_its_content_and_stays_what_it_is(
    staff: TenantClient, format: str, mode: str, media_type: str
) -> None:
    assert upload(staff, drawn(format, mode=mode), "wrong.txt").status_code == 302
    answer = staff.get(LIST + ids(staff)[0])
    assert answer.status_code == 200
    assert answer.mimetype == media_type
    shown = Image.open(io.BytesIO(answer.data))
    assert (shown.format, shown.size) == (format, (40, 30))
    left, right = (shown.convert("RGB").getpixel(place) for place in ((5, 15), (35, 15)))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert min(right) > 200
    assert left[1] < 130 or mode == "1"  # what is black and white only is dotted


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Picture"),
        (b"hello", "cannot be shown as a picture"),
        (b"<html><script>alert(1)</script>", "cannot be shown as a picture"),
        (b"\x89PNG\r\n\x1a\n", "cannot be shown as a picture"),
        (b"GIF89a", "cannot be shown as a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "SVG drawing"),
        (b"<?xml version='1.0'?>\n<!-- x --><SVG/>", "SVG drawing"),
        (b"%PDF-1.4", "cannot be shown as a picture"),
        (drawn("BMP"), "cannot be shown as a picture"),
        (drawn("TIFF"), "cannot be shown as a picture"),
        (drawn("PPM"), "cannot be shown as a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be shown as a picture"),
        (drawn("PNG", (300, 300))[:-200], "damaged"),
        (drawn("JPEG", (300, 300))[:-900], "damaged"),
    ],
    ids=[
        "empty",
        "text",
        "html",
        "png-head",
        "gif-head",
        "svg",
        "svg-in-xml",
        "pdf",
        "bmp",
        "tiff",
        "ppm",
        "eps",
        "cut-png",
        "cut-jpeg",
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_what_is_no_such_picture_is_refused_whatever_it_is_called(
    staff: TenantClient, content: bytes, words: str, name: str
) -> None:
    answer = upload(staff, content, name)
    assert answer.status_code == 422
    assert words in answer.text
    assert (rows(staff), files(staff)) == (0, [])


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8001, 5000), (9000, 9000), (20_000, 20_000), (2_000_000_000, 2_000_000_000)])
def test_decompression_bombs_are_refused_before_they_are_decoded(
    staff: TenantClient, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    def decode(self: Image.Image) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decode)
    with pytest.raises(BadPicture) as caught:
        pictures.clean(png_that_claims(*size))
    assert caught.value.reason == "large"
    assert "too many pixels" in upload(staff, png_that_claims(*size)).text
    assert files(staff) == []


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    scans = drawn("JPEG", progressive=True)
    assert pictures.clean(scans).media_type == "image/jpeg"
    with pytest.raises(BadPicture, match="too many pixels"):
        pictures.clean(scans[:-2] + b"\xff\xda\x00\x08" * 200)


def test_metadata_is_gone_and_the_picture_stands_upright(staff: TenantClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "where I live"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    content = drawn("JPEG", exif=exif.tobytes(), comment=b"a secret", icc_profile=b"\0" * 128 + b"secret profile")
    assert b"where I live" in content
    assert upload(staff, content, "photo.jpg").status_code == 302
    shown = staff.get(LIST + ids(staff)[0]).data
    image = Image.open(io.BytesIO(shown))
    assert image.size == (30, 40)
    assert not image.getexif()
    assert not set(image.info) & {"exif", "comment", "icc_profile", "xmp"}
    assert not any(secret in shown for secret in (b"where I live", b"a secret", b"secret profile", b"Exif"))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_metadata_of_other_formats_is_gone(format: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "PNG": {"icc_profile": b"secret", "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0secret"},
        "WEBP": {"icc_profile": b"secret", "xmp": b"secret", "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0secret"},
        "GIF": {"comment": b"secret"},
    }
    if format == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", "secret")
        options["PNG"]["pnginfo"] = chunks
    content = drawn(format, mode="P" if format == "GIF" else "RGB", **options[format])
    assert b"secret" in content
    assert b"secret" not in pictures.clean(content).content


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_what_is_hidden_behind_a_picture_is_gone(staff: TenantClient, format: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("evil.js", "alert(1)")
    content = drawn(format, mode="P" if format == "GIF" else "RGB")
    content += b"<script>alert(1)</script>" + archive.getvalue()
    assert zipfile.is_zipfile(io.BytesIO(content))
    assert upload(staff, content).status_code == 302
    shown = staff.get(LIST + ids(staff)[0]).data
    assert b"script" not in shown
    assert not zipfile.is_zipfile(io.BytesIO(shown))


def test_of_an_animation_the_first_frame_is_kept() -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    written = io.BytesIO()
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:])
    kept = Image.open(io.BytesIO(pictures.clean(written.getvalue()).content))
    assert getattr(kept, "n_frames", 1) == 1
    assert kept.convert("RGB").getpixel((4, 4)) == (255, 0, 0)


def test_transparency_is_kept() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    for format in ("PNG", "WEBP", "GIF"):
        written = io.BytesIO()
        clear.save(written, format)
        kept = Image.open(io.BytesIO(pictures.clean(written.getvalue()).content)).convert("RGBA")
        assert kept.getpixel((4, 4))[3] == 0, format  # type: ignore[index]  # a pixel of four parts


@pytest.mark.parametrize("cut", range(0, 900, 23))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_broken_files_raise_one_error(format: str, cut: int) -> None:
    whole = bytearray(drawn(format, (60, 60), mode="P" if format == "GIF" else "RGB"))
    whole[cut % len(whole)] ^= 0xFF
    try:
        assert pictures.clean(bytes(whole)).width <= 65535
    except BadPicture as error:
        assert error.reason in ("broken", "unknown", "large")


def test_a_picture_is_served_safely(staff: TenantClient) -> None:
    upload(staff, drawn(), "my photo.png")
    id = ids(staff)[0]
    answer = client_of(staff.platform, "acme").get(LIST + id)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"] == 'inline; filename="my photo.png"'
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert "Set-Cookie" not in answer.headers
    again = staff.get(LIST + id, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]
    part = staff.get(LIST + id, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.data) == (206, b"PNG")
    head = staff.head(LIST + id)
    assert (head.status_code, head.data, head.content_length) == (200, b"", len(answer.data))


@pytest.mark.parametrize(
    "id",
    [
        "0" * 32,
        "x",
        "..%2f..%2ftenant.db",
        "..%5c..%5cdeed",
        "A" * 32,
        "%00" * 32,
        "0" * 31 + "%0a",
        "٠" * 32,
        "0" * 4000,
        "%ff",
        "'%20OR%201=1",
    ],
)
def test_unknown_ids_are_a_plain_404(acme: TenantClient, id: str) -> None:
    answer = acme.get(LIST + id)
    assert answer.status_code in (400, 404)
    if answer.status_code == 404:  # and not refused before it was routed
        assert same_but_for_address(answer) == same_but_for_address(acme.get("/help/nothing/"))


@pytest.mark.parametrize("by_path", [True, False], ids=["path", "host"])
def test_row_27_a_picture_of_another_tenant_is_not_there(platform: Platform, by_path: bool) -> None:
    acme, globex = client_of(platform, "acme", by_path), client_of(platform, "globex", by_path)
    for client in (acme, globex):
        client.log_in("ada", "staff")
    upload(acme, drawn())
    id = ids(acme)[0]
    assert acme.get(LIST + id).status_code == 200
    assert acme.get("/faq/-/pictures/" + id).status_code == 200
    missing = globex.get(LIST + "0" * 32)
    foreign = globex.get(LIST + id)
    assert (foreign.status_code, same_but_for_address(foreign)) == (404, same_but_for_address(missing))
    assert globex.submit(LIST, form=f"{LIST}{id}/delete").status_code == 404
    assert id not in globex.get(LIST).text
    assert acme.get(LIST + id).status_code == 200


@pytest.mark.parametrize("by_path", [True, False], ids=["path", "host"])
def test_a_page_shows_a_picture_whichever_door_and_section(platform: Platform, by_path: bool) -> None:
    client = client_of(platform, "acme", by_path)
    client.log_in("ada", "staff")
    upload(client, drawn(), alt="Our [new] *office* & \\ <b>")
    markdown = re.search(r'<input id="markdown-\w+" value="([^"]+)"', client.get(LIST).text)
    assert markdown
    text = markdown[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    client.submit("/faq/-/new", {"title": "With picture", "body": text, "do": "publish"})
    preview = client.submit("/faq/-/new", {"title": "x", "body": text, "do": "preview"}).text
    page = client_of(platform, "acme", by_path).get("/faq/with-picture/").text
    for shown in (preview, page):
        image = re.search(r'<img src="([^"]+/-/pictures/\w{32})" alt="([^"]*)"', shown)
        assert image
        assert image[2] == "Our [new] *office* &amp; \\ &lt;b&gt;"
        inner = image[1].removeprefix(client.prefix)
        assert client.get(inner).mimetype == "image/png"


def test_files_are_private_and_named_by_chance(staff: TenantClient) -> None:
    upload(staff, drawn(), "../../evil.png")
    (file,) = files(staff)
    assert file.name == ids(staff)[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.parent == staff.tenant.state / "uploads"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("photo.jpeg", "photo.png"),
        ("../../etc/passwd", "passwd.png"),
        ("C:\\photos\\Ünï.exe", "Ünï.png"),
        ("a\0b.png", "a b.png"),
        ("x" * 300 + ".png", "x" * 100 + ".png"),
        ("gnp.\u202eexe.png", "gnp. exe.png"),
        ("", "picture.png"),
        ("....", "picture.png"),
        ("/", "picture.png"),
        ('"; filename="evil.exe', '"; filename="evil.png'),
        ("a\r\nSet-Cookie: x=1.png", "a Set-Cookie: x=1.png"),
        ("<script>.png", "<script>.png"),
        ("{{ 7*7 }}.png", "{{ 7*7 }}.png"),
        ("😀.png", "😀.png"),
        ("\ud800.png", "picture.png"),
    ],
)
def test_rows_28_and_38_a_files_name_is_only_a_label(staff: TenantClient, name: str, clean: str) -> None:
    assert uploads.clean_name(name, ".png") == clean
    with staff.platform.tenant("acme"):
        id = uploads.save_picture(FileStorage(io.BytesIO(drawn()), filename=name)).id
    answer = staff.get(LIST + id)
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("inline; filename")
    assert not re.search(r"[\r\n\0]", disposition)
    assert "Set-Cookie" not in answer.headers
    from werkzeug.http import parse_options_header

    kind, options = parse_options_header(disposition)
    assert (kind, options["filename"]) == ("inline", clean)
    listed = staff.get(LIST).text
    assert "<script>" not in listed
    assert "49" not in re.findall(r"<p>([^<]*) × ", listed)


@pytest.mark.parametrize("alt", ["<script>alert(1)</script>", '" onerror="x', "{{ 7*7 }}{% raw %}", "](javascript:x)"])
def test_row_38_alternative_texts_are_inert(staff: TenantClient, alt: str) -> None:
    assert upload(staff, drawn(), alt=alt).status_code == 302
    listed = staff.get(LIST).text
    assert tags(listed).isdisjoint({"script", "onerror"})
    with staff.platform.tenant("acme"):
        row = db.session.query(uploads.Upload).one()
        assert row.alt == alt
        from blueprints.sections.markdown import render
        from blueprints.sections.pictures import markdown_of

        shown = render(markdown_of(row), "/help/")
        assert f'src="/help/-/pictures/{row.id}"' in shown
    assert tags(shown) == {"p", "img", "src", "alt", "loading"}


@pytest.mark.parametrize("alt", ["x" * 201, "a\0b", "a\u202eb", "a\nb\x07"])
def test_alternative_texts_that_do_not_fit_are_refused(staff: TenantClient, alt: str) -> None:
    assert upload(staff, drawn(), alt=alt).status_code == 422
    assert files(staff) == []


def test_without_words_the_files_name_describes_it(staff: TenantClient) -> None:
    upload(staff, drawn(), "Our office.png")
    assert 'alt="Our office"' in staff.get(LIST).text


@pytest.mark.parametrize("data", [{}, {"file": "text"}, {"file": ""}, {"alt": (io.BytesIO(b"x"), "a.png")}])
def test_forms_without_a_file_are_refused(staff: TenantClient, data: dict[str, Any]) -> None:
    assert staff.submit(LIST, data).status_code == 422


def test_a_body_over_the_limit_is_refused(staff: TenantClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + b"\0" * (3 * 1024 * 1024)
    answer = staff.post(LIST, data=body + b"\r\n--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413
    assert files(staff) == []


def test_fault_13_over_the_quota_a_tenant_gets_507_and_the_others_go_on(platform: Platform) -> None:
    small, acme = client_of(platform, "small"), client_of(platform, "acme")
    for client in (small, acme):
        client.log_in("ada", "staff")
    large = noise(400)  # about 480 kB
    assert upload(small, large).status_code == upload(small, large).status_code == 302
    refused = upload(small, large)
    assert refused.status_code == 507
    assert "No room left" in refused.text
    assert (rows(small), len(files(small))) == (2, 2)
    assert [upload(acme, large).status_code for _ in range(3)] == [302, 302, 302]
    assert small.submit(LIST, form=f"{LIST}{ids(small)[0]}/delete").status_code == 302
    assert (rows(small), len(files(small))) == (1, 1)
    assert upload(small, large).status_code == 302


def test_uploads_at_once_cannot_overrun_the_quota(platform: Platform) -> None:
    content = noise(300)  # about 270 kB, so three fit
    clients = [client_of(platform, "small") for _ in range(6)]
    for client in clients:
        client.log_in("ada", "staff")
    barrier = Barrier(len(clients))

    def send(client: TenantClient) -> int:
        barrier.wait()
        return upload(client, content).status_code

    with ThreadPoolExecutor(len(clients)) as pool:
        statuses = sorted(pool.map(send, clients))
    assert statuses == [302, 302, 302, 507, 507, 507]
    assert (rows(clients[0]), len(files(clients[0]))) == (3, 3)
    assert sum(file.stat().st_size for file in files(clients[0])) <= 1024 * 1024


def test_fault_13_a_full_disk_is_507_and_nothing_is_left(staff: TenantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(staff, drawn())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tenantry.files.os.fsync", full)
        assert upload(staff, drawn()).status_code == 507
    assert (rows(staff), len(files(staff))) == (1, 1)
    assert staff.get(LIST + ids(staff)[0]).status_code == 200
    assert upload(staff, drawn()).status_code == 302


def test_fault_13_a_full_database_is_507_and_nothing_is_left(staff: TenantClient) -> None:
    upload(staff, drawn())
    with pytest.raises(uploads.NoRoomLeft), staff.platform.tenant("acme"):
        pages = db.session.scalar(text("PRAGMA page_count"))
        db.session.execute(text(f"PRAGMA max_page_count = {pages}"))
        for _ in range(100):
            uploads.save_picture(FileStorage(io.BytesIO(drawn()), filename="a.png"))
    assert (rows(staff), len(files(staff))) == (1, 1)


def test_what_is_undone_leaves_no_file(platform: Platform, acme: TenantClient) -> None:
    class Oops(Exception):
        pass

    def save() -> Any:
        return uploads.save_picture(FileStorage(io.BytesIO(drawn()), filename="a.png"))

    with pytest.raises(Oops), platform.tenant("acme"):
        save()
        assert len(files(acme)) == 1
        raise Oops
    assert (rows(acme), files(acme)) == (0, [])
    with platform.tenant("acme"):
        save()
        db.rollback()
    assert (rows(acme), files(acme)) == (0, [])
    with platform.tenant("acme"):
        kept = save().id
        with pytest.raises(Oops), platform.tenant("acme"):
            save()
            raise Oops
    assert (rows(acme), [file.name for file in files(acme)]) == (1, [kept])
    with platform.tenant("acme"):
        uploads.remove(uploads.find(kept))  # type: ignore[arg-type]  # it is there
        db.rollback()
    assert acme.get(LIST + kept).status_code == 200


def test_a_view_that_fails_after_saving_leaves_nothing(staff: TenantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError("after it was saved")

    monkeypatch.setattr("blueprints.sections.pictures.flash", fail)
    with pytest.raises(RuntimeError, match="after it was saved"):
        upload(staff, drawn())
    assert (rows(staff), files(staff)) == (0, [])


def test_a_row_whose_file_is_gone_is_404(staff: TenantClient, caplog: pytest.LogCaptureFixture) -> None:
    upload(staff, drawn())
    files(staff)[0].unlink()
    assert staff.get(LIST + ids(staff)[0]).status_code == 404
    assert "has no file" in caplog.text
    assert staff.submit(LIST, form=f"{LIST}{ids(staff)[0]}/delete").status_code == 302
    assert ids(staff) == []


def test_others_may_write_while_a_picture_is_decoded(staff: TenantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    clean, seen = pictures.clean, []

    def slow(content: bytes) -> pictures.Picture:
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(write_elsewhere).result())
        return clean(content)

    def write_elsewhere() -> int:
        other = client_of(staff.platform, "acme")
        other.log_in("bob", "staff")
        return other.submit("/help/-/new", {"title": "Meanwhile", "body": ""}).status_code

    monkeypatch.setattr(uploads, "clean", slow)
    assert upload(staff, drawn()).status_code == 302
    assert seen == [302]


def test_pictures_go_with_nothing_but_their_own_removal(staff: TenantClient) -> None:
    upload(staff, drawn())
    id = ids(staff)[0]
    with staff.platform.tenant("acme"):
        from tenantry.users import User

        db.session.delete(db.session.query(User).filter_by(username="ada").one())
    assert client_of(staff.platform, "acme").get(LIST + id).status_code == 200


def test_outside_of_a_tenant_nothing_is_kept() -> None:
    from tenantry.errors import NoTenantContext

    with pytest.raises(NoTenantContext):
        uploads.save_picture(FileStorage(io.BytesIO(drawn())))
    with pytest.raises(NoTenantContext):
        uploads.find("0" * 32)
