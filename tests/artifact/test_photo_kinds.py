"""What a file is, by its first bytes and by its name: photos of all kinds, and what is none."""

import base64

import pytest

from artifact.photos.kinds import KINDS, PhotoError, is_photo_name, kind_of
from tests.support.servers import photo

S3_ERROR = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'


@pytest.mark.parametrize(
    "data, words",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer.*lfs pull"),
        (b"\xff\x0a" + bytes(20), "JPEG XL photo.*GPL-3.*save it as JPEG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "JPEG XL photo"),
        (b"\n <!DOCTYPE HTML><html>", "an HTML page; fetch the photo itself"),
        (b"\xef\xbb\xbf<html lang='en'>", "an HTML page"),
        (S3_ERROR, r"an S3 error document \(AccessDenied\).*fetch the photo again"),
        (b"<?xml version='1.0'?><plist version='1.0'>", "list of properties"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "a drawing"),
        (b"<?xml version='1.0'?><album/>", "an XML document"),
        (b'{"instances": [{"b64": "aGVsbG8="}]}', "JSON; send it as application/json"),
        (b'[\n  {"b64": ""}]', "JSON; send it as application/json"),
        (base64.b64encode(photo()), "base64 text of a JPEG photo.*application/json"),
        (b"data:image/png;base64," + base64.b64encode(photo("red", "PNG")), "of a PNG photo"),
        (base64.encodebytes(photo("red", "HEIF")), "base64 text of a HEIC photo"),
        (b'--x1\r\nContent-Disposition: form-data; name="photo"\r\n', "a form.*its boundary"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"\x1a\x45\xdf\xa3" + bytes(20), "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx ", "a camera's raw file"),
        (b"PK\x03\x04" + bytes(20), "an archive"),
        (b"\x1f\x8b\x08" + bytes(20), "an archive"),
        (b"%PDF-1.7\n", "a document"),
        (b"\x93NUMPY\x01\x00", "a numpy array"),
        (bytes(100), "zeros alone"),
        (b"version https://hawser.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"/annex/objects/SHA256E-s9--0.jpg\n", "git-annex pointer.*git annex get"),
        (b"../originals/photo.jpg", "the path of another file"),
        (b"XSym\n0014\n", "the path of another file"),
        (b"https://example.com/photo.jpg\n", "the address of a file"),
        (b"s3://bucket/photo.jpg", "the address of a file"),
        (b"HTTP/1.1 404 Not Found\r\n", "an answer of HTTP"),
        (b"<meta http-equiv='refresh'>", "an HTML page"),
        (b"<?xml version='1.0'?><!DOCTYPE html><html xmlns='x'>", "an HTML page"),
        (b"<annotation><folder>a</folder>", "an XML document"),
        (b"<?xml version='1.0'?><ListBucketResult xmlns='x'>", "a list of what a bucket holds"),
        (b"bplist00" + bytes(20), "list of properties"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "AppleDouble"),
        (b"\xef\xbb\xbf" + base64.b64encode(photo()), "base64 text of a JPEG photo"),
        (b'"' + base64.b64encode(photo()) + b'"', "base64 text of a JPEG photo"),
        (repr(base64.b64encode(photo())).encode(), "base64 text of a JPEG photo"),
        (b"data:image/jpeg;name=a;BASE64," + base64.b64encode(photo()), "base64 text of a JPEG"),
        (("\ufeff" + base64.b64encode(photo()).decode()).encode("utf-16-le"), "base64 text"),
        (photo()[:40].hex().encode(), "hexadecimal text"),
        (repr(photo()[:40]).encode(), "text that stands for bytes"),
        (photo().decode("latin-1").encode(), "changed as if they were text.*as binary"),
        (photo().decode("utf-8", "replace").encode(), "changed as if they were text"),
        (photo("red", "PNG").replace(b"\r\n", b"\n"), "changed as if they were text"),
        ("wörter in Windows-1252".encode("cp1252"), "text, not a photo"),
        ("\ufeffwords".encode("utf-16-be"), "text, not a photo"),
        (bytes(128) + b"DICM" + bytes(9), r"not read here \(DICOM\)"),
        (b"\0\0\2" + bytes(9) + b"\x40\0\x30\0\x18\0", r"not read here \(TGA\)"),
        (b"\0\0\1\0\1\0\x10\x10" + bytes(20), "an icon"),
        (b"P7\nWIDTH 2\n", r"\(PAM or PFM\)"),
        (b"qoif\0\0\0\2", r"\(QOI\)"),
        (b"\xff\xd8\xff\xf7\0\x0b", r"\(JPEG-LS\)"),
        (b"(\xb5/\xfd" + bytes(9), "an archive"),
        (b"PK\5\6" + bytes(18), "an archive"),
        (b"ID3\4\0" + bytes(20), "a sound"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a sound"),
        (b"\0\0\0\x18ftypM4A " + bytes(9), "a sound"),
        (b"\x89HDF\r\n\x1a\n", "a file of data"),
        (b"\x0a\x23\xd7\xce" + bytes(20) + photo(), "a file of data"),
        (b"\x7fELF\2\1\1", "a program"),
        (b"just words", "text, not a photo"),
        ("wörter über alles".encode(), "text, not a photo"),
        (b"", r"empty \(0 bytes\)"),
        (b"\x01\x02\x03", r"not a complete photo of JPEG, PNG, .* or PPM \(unknown format\)"),
    ],
)
def test_what_is_no_photo_is_named_for_what_it_is(data, words):
    with pytest.raises(PhotoError, match=f"^it is .*{words}|^it begins .*{words}") as caught:
        kind_of(data)
    assert "\n" not in str(caught.value)


def test_a_photo_within_a_message_is_found():
    with pytest.raises(PhotoError, match="^it holds a photo behind 7 other bytes"):
        kind_of(b"\x0a\x10\x0a\x03jpg" + photo())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_known_by_its_bytes_and_its_names(kind):
    assert kind_of(photo("red", kind.name)) == kind
    for suffix in kind.suffixes:
        assert is_photo_name(f"IMG_0001{suffix.upper()}")


@pytest.mark.parametrize(
    "brands, name",
    [
        (b"heic\0\0\0\0mif1heic", "HEIF"),
        (b"mif1\0\0\0\0mif1heic", "HEIF"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"avis\0\0\0\0avismsf1", "AVIF"),
        (b"msf1\0\0\0\0hevc", "HEIF"),
    ],
)
def test_brands_decide_between_heic_and_avif(brands, name):
    box = (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands
    assert kind_of(box + bytes(8)).name == name


@pytest.mark.parametrize("name", [".jpg", ".x.heic", "IMG_0001", "jpg", "a.mov", "a.jpg.txt", ""])
def test_other_names_are_no_photos(name):
    assert not is_photo_name(name)
