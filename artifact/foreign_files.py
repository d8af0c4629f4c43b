"""What a file is that is no photo: a sentence with what to do, by its first bytes."""

import re

ERROR_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
LFS = "it is a Git LFS pointer, not the photo that it stands for; `git lfs pull` fetches that"
JPEG_XL = "it is a JPEG XL photo; its decoder is under GPL-3 and not part of this; save it as JPEG"
HTML = "it is an HTML page; fetch the photo itself, whose address is in the page"
RAW = "it is a camera's raw file; save it as JPEG or TIFF"
ARCHIVE = "it is an archive; unpack it first"
FORM = (
    "it is a form; send it with its own Content-Type, which is "
    "multipart/form-data with its boundary"
)
JSON = 'it is JSON; send it as application/json: {"instances": [{"b64": "<base64 of a photo>"}]}'
VIDEO = "it is a video; save a frame of it as JPEG"
DRAWING = "it is a drawing, not a photo; export it as PNG"
DOCUMENT = "it is a document; export its picture as JPEG or PNG"

# The first that fits counts.
FOREIGN = (
    (re.compile(rb"version https://git-lfs\.github\.com/spec/"), LFS),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), JPEG_XL),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype html|html|head|body)\b",
                re.IGNORECASE | re.DOTALL), HTML),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,500}?-->\s*)?"
                rb"(?:<!DOCTYPE svg[^>]{0,300}>\s*)?<svg\b", re.DOTALL), DRAWING),
    (re.compile(rb"--[^\r\n]{1,100}\r?\nContent-(?:Disposition|Type):", re.IGNORECASE), FORM),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[\[{\"\d\]-])"), JSON),
    (re.compile(rb"....ftypcrx ", re.DOTALL), RAW),
    (re.compile(rb"FUJIFILMCCD-RAW|IIU\0|IIRO|IIRS|MMOR|\0MRM|FOVb"), RAW),
    (re.compile(rb"....(?:ftyp|moov|mdat|wide|free|skip)", re.DOTALL), VIDEO),
    (re.compile(rb"\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|\0\0\x01[\xba\xb3]|OggS|G.{187}G|"
                rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", re.DOTALL), VIDEO),
    (re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf\x27\x1c|Rar!\x1a|BZh|\xfd7zXZ\0|.{257}ustar",
                re.DOTALL), ARCHIVE),
    (re.compile(rb"%PDF-|\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|\{\\rtf"), DOCUMENT),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6|\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", re.DOTALL),
     DRAWING),
    (re.compile(rb"8BPS"), "it is a Photoshop file; export it as JPEG"),
    (re.compile(rb"\0\0[\x01\x02]\0"), "it is an icon; save it as PNG"),
    (re.compile(rb"\x93NUMPY"), "it is a numpy array; send a photo, such as a JPEG"),
    (re.compile(rb"\0{32}"), "it begins with zeros alone, as a download that has not come; "
                             "fetch it again"),
)  # fmt: skip
XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml|\s*<Error>")
APPLE_EDIT = re.compile(rb"<!DOCTYPE plist|<plist")
TEXT = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]{4,}\Z")


def what_else_it_is(beginning: bytes) -> str:
    """The sentence on a file that is no photo; empty where its first bytes say nothing."""
    for pattern, sentence in FOREIGN:
        if pattern.match(beginning):
            return sentence
    if XML.match(beginning):
        return _xml(beginning)
    if TEXT.match(beginning) and _is_utf8(beginning):
        return "it is text, not a photo"
    return ""


def _xml(beginning: bytes) -> str:
    code = ERROR_CODE.search(beginning)
    if code:
        return (
            f"it is an S3 error document ({code[1].decode()}), which came in place of the photo; "
            "fetch the photo again, with the right to read it"
        )
    if APPLE_EDIT.search(beginning):
        return "it is a list of properties (plist), such as a phone's edit of a photo; leave it out"
    return "it is an XML document, not a photo"


def _is_utf8(beginning: bytes) -> bool:
    try:
        # the last character may be cut
        beginning[:-3].decode()
    except UnicodeDecodeError:
        return False
    return True
