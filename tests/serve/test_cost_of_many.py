"""A hundred photos in one body cost the processor no more than a hundred requests of one photo."""

import http.client
import io
import json
import statistics

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.support.servers import Server, instances, serving

pytestmark = pytest.mark.verify
PHOTOS = 100
ROUNDS = 5
AT_MOST = 1.1  # of what single requests cost


def photos() -> list[bytes]:
    """Noisy JPEGs of 500x375."""
    found = []
    for seed in range(PHOTOS):
        pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).resize((500, 375)).save(stream, "JPEG")
        found.append(stream.getvalue())
    return found


def used_s(server: Server) -> float:
    """The processor seconds of the server and its workers so far."""
    first = psutil.Process(server.process.pid)
    times = [one.cpu_times() for one in (first, *first.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def cost_s(server: Server, bodies: list[bytes]) -> float:
    """The processor seconds of these requests, over one connection."""
    before = used_s(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    answers = 0
    for body in bodies:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answers += len(json.loads(connection.getresponse().read())["predictions"])
    connection.close()
    assert answers == PHOTOS
    return used_s(server) - before


def test_a_hundred_photos_in_one_body_cost_no_more_than_a_hundred_requests(colours):
    drawn = photos()
    together = [instances(*drawn)]
    apart = [instances(photo) for photo in drawn]
    with serving(colours.model) as server:
        cost_s(server, together)  # what is done once is not counted
        cost_s(server, apart)
        ratios = [cost_s(server, together) / cost_s(server, apart) for _ in range(ROUNDS)]
    assert statistics.median(ratios) <= AT_MOST, ratios
