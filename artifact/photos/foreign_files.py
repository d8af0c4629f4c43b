"""What a file is that is no photo: a sentence with what to do, by its first bytes."""

import codecs
import re

ERROR_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
LFS = "it is a Git LFS pointer, not the photo that it stands for; `git lfs pull` fetches that"
ANNEX = "it is a git-annex pointer, not the photo that it stands for; `git annex get` fetches that"
JPEG_XL = "it is a JPEG XL photo; its decoder is under GPL-3 and not part of this; save it as JPEG"
HTML = "it is an HTML page; fetch the photo itself, whose address is in the page"
HTTP = "it is an answer of HTTP with its headers; keep the body alone"
ADDRESS = "it is the address of a file, not the file; fetch it from there"
LINK = "it is the path of another file, as links become where there are none; put that file here"
RAW = "it is a camera's raw file; save it as JPEG or TIFF"
ARCHIVE = "it is an archive; unpack it first"
FORM = (
    "it is a form; send it with its own Content-Type, which is "
    "multipart/form-data with its boundary"
)
JSON = 'it is JSON; send it as application/json: {"instances": [{"b64": "<base64 of a photo>"}]}'
VIDEO = "it is a video; save a frame of it as JPEG"
SOUND = "it is a sound, not a photo"
DRAWING = "it is a drawing, not a photo; export it as PNG"
DOCUMENT = "it is a document; export its picture as JPEG or PNG"
PROGRAM = "it is a program, not a photo"
FONT = "it is a font, not a photo"
XML = "it is an XML document, not a photo"
TEXT = "it is text, not a photo"
PROPERTIES = "it is a list of properties (plist), such as a phone's edit of a photo; leave it out"
BESIDE = "it is what macOS keeps beside a photo (AppleDouble), not the photo; leave it out"
CHANGED = "it is a photo whose bytes were changed as if they were text; send it as binary"
BYTES_AS_TEXT = "it is text that stands for bytes, such as b'\\xff'; write the bytes themselves"
HEXADECIMAL = "it is hexadecimal text of a photo; write the bytes that it stands for"
_START = rb"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,500}?-->\s*)?"


def _picture(name: str) -> str:
    return f"it is a picture of a kind that is not read here ({name}); save it as PNG"


def _data(name: str) -> str:
    return f"it is a file of data ({name}), not a photo; write each photo in it to a file"


# The first that fits counts. Pattern to sentence; texts stand without a byte order mark.
_TEXTS = (
    (rb"version https://(?:git-lfs|hawser)\.github\.com/spec/", LFS),
    (rb"(?:/|(?:\.\./){0,20}\.git/)annex/objects/", ANNEX),
    (_START + rb"<(?:!doctype html|(?:html|head|body|meta|title|script|style|div|p|h1|center|"
              rb"iframe|table|link)\b)", HTML),
    (_START + rb"(?:<!DOCTYPE svg[^>]{0,300}>\s*)?<svg\b", DRAWING),
    (rb"--[^\r\n]{1,100}\r?\nContent-(?:Disposition|Type):", FORM),
    (rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\d\]-])", JSON),
    (rb"HTTP/\d[\d.]{0,3} \d{3}\b", HTTP),
    (rb"\s*(?:https?|s3|gs|ftp)://[^\s]{1,2000}\s*\Z|\[InternetShortcut\]", ADDRESS),
    (rb"XSym\n|IntxLNK\x01|(?:\.\.?|[A-Z]:)[/\\][^\r\n\0]{1,1000}\r?\n?\Z", LINK),
    (rb"b?[\"']?(?:\\\\?xff\\\\?xd8|\\\\?x89PNG)", BYTES_AS_TEXT),
    (rb"(?:0x|\\\\?x)?(?:ffd8ff|89504e470d0a)[0-9a-f]{8}", HEXADECIMAL),
    (rb"#\?(?:RADIANCE|RGBE)", _picture("Radiance HDR")),
    (rb"SIMPLE  =", _picture("FITS")),
    (rb"/\* XPM \*/|#define \w{1,80}_width\b", _picture("X11")),
    (rb"\s{0,20}%PDF-|\{\\rtf", DOCUMENT),
    (rb"%!PS", DRAWING),
    (rb"#!AMR", SOUND),
    (rb"#!", PROGRAM),
)  # fmt: skip
_BINARIES = (
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", JPEG_XL),
    (rb"\xff\xd8\xff\xf7", _picture("JPEG-LS")),
    (rb"\xc3\xbf\xc3\x98\xc3\xbf|(?:\xef\xbf\xbd){3}|(?:\xef\xbf\xbd|\xc2\x89|\x09)PNG|\x89PNG",
     CHANGED),
    (rb"....ftypcrx |II\*\0....CR\x02", RAW),
    (rb"FUJIFILMCCD-RAW|IIU\0|IIRO|IIRS|MMOR|\0MRM|FOVb", RAW),
    (rb"....ftypM4[AB] |ID3[\2-\4]|\xff[\xf1-\xf3\xf9-\xfb][^\xff]|fLaC|RIFF....WAVE|MThd|"
     rb"FORM....AIF", SOUND),
    (rb"....(?:ftyp|moov|mdat|wide|free|skip)", VIDEO),
    (rb"\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|\0\0\x01[\xba\xb3]|OggS|G.{187}G|.{4}G.{191}G|"
     rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11|[CFZ]WS[\x01-\x32]|\x8aMNG", VIDEO),
    (rb"PK\x03\x04|PK\x05\x06|\x1f\x8b|7z\xbc\xaf\x27\x1c|Rar!\x1a|BZh|\xfd7zXZ\0|\(\xb5/\xfd|"
     rb"\x04\x22\x4d\x18|x[\x01\x9c\xda]|MSCF\0|!<arch>|.{257}ustar", ARCHIVE),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", DOCUMENT),
    (rb"\xc5\xd0\xd3\xc6|\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF|gimp xcf", DRAWING),
    (rb"8BPS", "it is a Photoshop file; export it as JPEG"),
    (rb"\0\0[\x01\x02]\0(?!\0\0)", "it is an icon; save it as PNG"),
    (rb"\0\0[\x02\x03\x0a\x0b]\0{5}.{8}[\x08\x0f\x10\x18\x20]", _picture("TGA")),
    (rb"v/1\x01", _picture("OpenEXR")),
    (rb"II\xbc", _picture("JPEG XR")),
    (rb"P[7Ff]\s", _picture("PAM or PFM")),
    (rb"\x28\0\0\0.{8}\x01\0", _picture("a bitmap without its file header")),
    (rb"\x0a[\0-\x05]\x01[\x01\x02\x04\x08]", _picture("PCX")),
    (rb"\x01\xda[\0\x01][\x01\x02]", _picture("SGI")),
    (rb"DDS |\xabKTX", _picture("a texture")),
    (rb"icns\0", "it is an icon; save it as PNG"),
    (rb"qoif\0", _picture("QOI")),
    (rb"FLIF", _picture("FLIF")),
    (rb"BPG\xfb", _picture("BPG")),
    (rb"AT&TFORM", _picture("DjVu")),
    (rb".{128}DICM", _picture("DICOM")),
    (rb"\x93NUMPY", "it is a numpy array; send a photo, such as a JPEG"),
    (rb"\x89HDF", _data("HDF5")),
    (rb"SQLite format 3\0", _data("SQLite")),
    (rb"PAR1|ARROW1\0", _data("Parquet or Arrow")),
    (rb"\x0a\x23\xd7\xce", _data("RecordIO")),
    (rb"\x80[\x02-\x05](?:\x95.{6}\0\0|[\]}(c])", _data("a pickle of Python")),
    (rb".{6}\0\0\{\s*\"", _data("safetensors")),
    (rb"MATLAB 5\.0", _data("MATLAB")),
    (rb"bplist0", PROPERTIES),
    (rb"\0\x05\x16[\0\x07]", BESIDE),
    (rb"\x7fELF|MZ[\0\x90P]|\xca\xfe\xba\xbe|\xcf\xfa\xed\xfe", PROGRAM),
    (rb"\0\x01\0\0\0[\x04-\x40]\0|OTTO|wOF[F2]|ttcf", FONT),
    (rb"\0{32}", "it begins with zeros alone, as a download that has not come; fetch it again"),
)  # fmt: skip
_OF_TEXTS = [(re.compile(found, re.DOTALL | re.IGNORECASE), words) for found, words in _TEXTS]
_OF_BINARIES = [(re.compile(found, re.DOTALL), words) for found, words in _BINARIES]
_XML = re.compile(rb"\s*<(?:\?xml|[A-Za-z_][\w:.-]{0,80}[\s/>])")
_APPLE_EDIT = re.compile(rb"<!DOCTYPE plist|<plist")
_BUCKET = re.compile(rb"<ListBucketResult\b")
_TEXT = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]{2,}\Z")
_ASCII = bytes(range(0x80))
_TEXT_SHARE = 0.7  # of ASCII, in a text of an encoding that is not known
# Unlikely in other data; what a photo lies behind is a record or a message.
_WITHIN = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n")


def what_else_it_is(beginning: bytes) -> str:
    """The sentence on a file that is no photo; empty where its first bytes say nothing."""
    for pattern, sentence in _OF_BINARIES:
        if pattern.match(beginning):
            return sentence
    text = plain_text(beginning)
    for pattern, sentence in _OF_TEXTS:
        if pattern.match(text):
            return sentence
    if _XML.match(text):
        return _xml(text)
    if _TEXT.match(text) and _is_text(text):
        return TEXT
    within = _WITHIN.search(beginning)
    if within and within.start():
        return f"it holds a photo behind {within.start()} other bytes; send or save that alone"
    return ""


def plain_text(data: bytes) -> bytes:
    """A text without a byte order mark: of UTF-8, or of UTF-16 as Windows writes it."""
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "ignore").encode("utf-8", "ignore")
    return data


def _xml(text: bytes) -> str:
    code = ERROR_CODE.search(text)
    if code:
        return (
            f"it is an S3 error document ({code[1].decode()}), which came in place of the photo; "
            "fetch the photo again, with the right to read it"
        )
    if _APPLE_EDIT.search(text):
        return PROPERTIES
    if _BUCKET.search(text):
        return "it is a list of what a bucket holds; fetch the photo itself, by its whole name"
    return XML


def _is_text(beginning: bytes) -> bool:
    try:
        # the last character may be cut
        beginning[:-3].decode()
    except UnicodeDecodeError:
        strange = len(beginning.translate(None, _ASCII))
        return strange < len(beginning) * (1 - _TEXT_SHARE)
    return True
