"""The values at which decoders allocate and count, and the chances of the mutators."""

import random

Random = random.Random
MOST_BYTES = 6_000_000  # of a photo: a request's own limit
NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 31, 64, 255, 256, 257, 1000, 4095, 4096, 16383, 16384),
    *(32767, 32768, 46336, 46340, 65535, 65536, 100_000, 1_000_000, 2**24 - 1, 2**24),
    *(2**27, 2**30, 2**31 - 1, 2**31, 2**32 - 1),
)
# Of BigTIFF, beside these.
LONG_NUMBERS = (*NUMBERS, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
# A large one takes a second to decode, so it is drawn seldom.
REPEATS = (*(2, 3, 10, 100, 1000, 1001) * 6, 65_535, 65_536, 200_000, 1_500_000)
