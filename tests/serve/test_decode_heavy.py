"""A real server under bodies that are dear to decode; the figures are those of bench/."""

import pytest

from bench.decode_heavy import BODIES, measured
from tests.support.servers import photo, serving

SLOWEST_S = 20.0  # on any machine; bench/decode_heavy.py wants 2


@pytest.mark.verify
@pytest.mark.parametrize("name", ["filling in a JPEG", "PNG of 40 Mpx", "run lengths in a BMP"])
def test_sixty_connections_keep_no_good_photo_waiting(colours, name):
    with serving(colours.model) as server:
        url = f"http://127.0.0.1:{server.port}"
        row = measured(url, photo(), name, BODIES[name](), seconds=5, connections=60)
        assert set(row.photo.statuses) <= {200, 503}
        assert set(row.ping.statuses) == {200}
        assert max(row.photo.seconds) < SLOWEST_S
        assert max(row.ping.seconds) < SLOWEST_S
        assert len(server.workers()) == 1
