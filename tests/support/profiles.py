"""ICC profiles, written here (ICC.1:2001): of displays by their primaries, and of greyscale."""

import struct

# Chromaticities adapted to D50, as profiles have them: the columns red, green and blue of XYZ.
PRIMARIES = {
    "sRGB": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    "Display-P3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    "AdobeRGB": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "ProPhoto": ((0.7977, 0.2880, 0.0000), (0.1352, 0.7119, 0.0000), (0.0313, 0.0001, 0.8249)),
    "Generic RGB": ((0.4543, 0.2419, 0.0149), (0.3533, 0.6736, 0.0906), (0.1566, 0.0845, 0.7195)),
}
GAMMAS = {"sRGB": 2.2, "Display-P3": 2.2, "AdobeRGB": 2.2, "ProPhoto": 1.8, "Generic RGB": 1.8}
D50 = (0.9642, 1.0, 0.8249)


def display(name: str, gamma: float = 0.0) -> bytes:
    """The profile of an RGB display. gamma: 1 is linear; 0 for the usual one."""
    columns = zip(("rXYZ", "gXYZ", "bXYZ"), PRIMARIES[name], strict=True)
    tags = {tag: _xyz(*column) for tag, column in columns}
    curve = _curve(gamma or GAMMAS[name])
    return _profile(b"RGB ", {**tags, "rTRC": curve, "gTRC": curve, "bTRC": curve})


def grey(gamma: float) -> bytes:
    """The profile of greyscale."""
    return _profile(b"GRAY", {"kTRC": _curve(gamma)})


def _profile(space: bytes, tags: dict[str, bytes]) -> bytes:
    text = b"text\0\0\0\0" + b"none\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {"desc": described, "cprt": text, "wtpt": _xyz(*D50), **tags}
    start = 132 + 12 * len(tags)
    table = struct.pack(">I", len(tags))
    content = b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    size = start + len(content)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(_fixed(value) for value in D50))
    return header + bytes(128 - len(header)) + table + content


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(_fixed(value) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _fixed(value: float) -> int:
    return round(value * 65536)
