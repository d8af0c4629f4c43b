"""The sizes that coded pictures of HEIC and AVIF name themselves: HEVC (ITU-T H.265) and AV1.

Their decoders take memory by these, whatever the file around them says of the picture.
"""

from collections.abc import Iterator

from artifact.photos.formats import Room, damaged
from artifact.photos.kinds import PhotoError

MAX_UNITS = 20_000  # NAL units and OBUs of all pictures of a file; a tile has one to a hundred
MANY_UNITS = "it has far more coded units than photos have"
MAX_LAYERS = 4  # frames of one AV1 picture: layered photos have up to four
SPS = 33  # the HEVC unit that names the size
LAST_SLICE = 31  # HEVC units up to this one are slices of a picture
SEQUENCE, FRAME_HEADER, FRAME = 1, 3, 6  # kinds of AV1's units
EMULATION = b"\0\0\3"  # HEVC puts a 3 after two zeros
MOST_SEQUENCE_BYTES = 500  # of an SPS, of which the size is at the beginning

Size = tuple[int, int]


class Bits:
    """Reads numbers from bytes, bit by bit. PhotoError at the end."""

    def __init__(self, data: bytes):
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, bits: int) -> int:
        """A number of so many bits."""
        self._left -= bits
        if self._left < 0:
            raise damaged("the size of a coded picture is cut off")
        return self._number >> self._left & (1 << bits) - 1

    def golomb(self) -> int:
        """A number in Exp-Golomb code (H.265, 9.2), the same as AV1's uvlc."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise damaged("a number of a coded picture is too long")
        return (1 << zeros) - 1 + self.take(zeros)


def hevc_config_sizes(config: bytes) -> tuple[int, list[Size]]:
    """Bytes of a unit's length, and the sizes in an hvcC box (ISO/IEC 14496-15, 8.3.3)."""
    length_bytes = (config[21] & 3) + 1
    sizes = []
    place = 23
    for _ in range(config[22]):
        count = int.from_bytes(config[place + 1 : place + 3], "big")
        place += 3
        for _ in range(count):
            length = int.from_bytes(config[place : place + 2], "big")
            sizes += _hevc_size(config[place + 2 : place + 2 + length])
            place += 2 + length
            if place > len(config):
                raise damaged("its HEVC configuration is cut off")
    return length_bytes, sizes


def hevc_sizes(data: bytes, length_bytes: int, room: Room) -> list[Size]:
    """The sizes that a picture's own data names. PhotoError for several pictures in it."""
    sizes: list[Size] = []
    pictures = 0
    place = 0
    while place + length_bytes < len(data):
        room.take()
        length = int.from_bytes(data[place : place + length_bytes], "big")
        place += length_bytes
        head = data[place : place + 3]
        kind = head[0] >> 1 & 0x3F
        if kind <= LAST_SLICE and len(head) > 2 and head[2] & 0x80:
            pictures += 1
        if kind == SPS:
            sizes += _hevc_size(data[place : place + min(length, MOST_SEQUENCE_BYTES)])
        place += length
    if pictures > 1:
        raise PhotoError("it is a HEIC photo with several pictures in place of one")
    return sizes


def _hevc_size(unit: bytes) -> list[Size]:
    """Width and height of an SPS (H.265, 7.3.2.2); nothing for other units and for layers."""
    if len(unit) < 3 or unit[0] >> 1 & 0x3F != SPS:
        return []
    if unit[0] & 1 or unit[1] >> 3:  # a layer of a picture in depth: decoders leave it out
        return []
    content = unit[2:MOST_SEQUENCE_BYTES].replace(EMULATION, b"\0\0")
    bits = Bits(content)
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    bits.take(88)  # profile
    bits.take(8)  # level
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)
    bits.golomb()
    if bits.golomb() == 3:  # 4:4:4
        bits.take(1)
    width = bits.golomb()
    height = bits.golomb()
    return [(width, height)]


def av1_sizes(data: bytes, room: Room) -> list[Size]:
    """The sizes in AV1 units. PhotoError for more frames than a photo has layers."""
    sizes: list[Size] = []
    frames = 0
    for kind, content in _av1_units(data, room):
        if kind == SEQUENCE:
            sizes.append(_av1_size(content))
        frames += kind in (FRAME_HEADER, FRAME)
    if frames > MAX_LAYERS:
        raise PhotoError("it is an AVIF photo with several pictures in place of one")
    return sizes


def _av1_units(data: bytes, room: Room) -> Iterator[tuple[int, bytes]]:
    """Kind and the beginning of each unit (AV1, 5.3)."""
    place = 0
    while place < len(data):
        room.take()
        header = data[place]
        place += 2 if header & 4 else 1
        length = len(data) - place
        if header & 2:
            length, place = _leb128(data, place)
        yield header >> 3 & 15, data[place : place + min(length, MOST_SEQUENCE_BYTES)]
        place += length


def _leb128(data: bytes, place: int) -> Size:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for index in range(8):
        byte = data[place + index]
        value |= (byte & 127) << 7 * index
        if not byte & 128:
            return value, place + index + 1
    raise damaged("a length of its AV1 data is too long")


def _av1_size(content: bytes) -> Size:
    """The largest width and height of a sequence header (AV1, 5.5)."""
    bits = Bits(content)
    bits.take(4)
    is_reduced = bits.take(1)
    if is_reduced:
        bits.take(5)
    else:
        _skip_av1_timing(bits)
    width_bits = bits.take(4) + 1
    height_bits = bits.take(4) + 1
    if is_reduced:
        return bits.take(width_bits) + 1, bits.take(height_bits) + 1
    # a frame may name another size of as many bits
    return 1 << width_bits, 1 << height_bits


def _skip_av1_timing(bits: Bits) -> None:
    """Go past timing and operating points (AV1, 5.5.1)."""
    delay_bits = 0
    if bits.take(1):
        bits.take(64)
        if bits.take(1):
            bits.golomb()
        if bits.take(1):
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_display_delay and bits.take(1):
            bits.take(4)
