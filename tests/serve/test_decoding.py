"""Whose turn it is to be decoded, and what a request is told of its wait; nothing is decoded."""

import threading
from contextlib import ExitStack

import pytest

from artifact.photos.formats import PhotoHeader
from serve.admission import LARGE_PIXELS, LONG_S, DecodingQueue
from serve.request_state import ClientGone, Overloaded, RequestState


def header(seconds: float, pixels: int = 1) -> PhotoHeader:
    """Of a photo that is expected to take that long."""
    made = PhotoHeader("JPEG", pixels, 1, 0)
    return PhotoHeader("JPEG", pixels, 1, int((seconds - made.seconds) * 1e9 / 20))


HEAVY = header(1.0)
GOOD = header(0.01)


def turns(queue: DecodingQueue, headers: dict[str, PhotoHeader]) -> list[str]:
    """The order in which photos that come while all slots are held get theirs."""
    order: list[str] = []

    def decode(name: str) -> None:
        with queue.slot(headers[name], RequestState.lasting(60)):
            order.append(name)

    threads = [threading.Thread(target=decode, args=(name,)) for name in headers]
    waiting = len(queue._small.waiting) + len(queue._large.waiting)
    with ExitStack() as held:
        for lane in (HEAVY, GOOD):
            held.enter_context(queue.slot(lane, RequestState.lasting(60)))
        for thread in threads:
            thread.start()
            waiting += 1
            while len(queue._small.waiting) + len(queue._large.waiting) < waiting:
                pass
    for thread in threads:
        thread.join(60)
    return order


def test_the_photo_that_costs_least_comes_first():
    queue = DecodingQueue(1)
    headers = {"slow": header(3.0), "heavy": HEAVY, "phone": header(0.2)}
    assert turns(queue, headers) == ["phone", "heavy", "slow"]


def test_among_equals_the_first_comes_first():
    queue = DecodingQueue(1)
    assert turns(queue, {"a": GOOD, "b": GOOD, "c": GOOD}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "photo", [HEAVY, header(0.05, LARGE_PIXELS + 1)], ids=["takes long", "is large"]
)
def test_sixty_heavy_photos_do_not_make_a_good_one_wait(photo):
    queue = DecodingQueue(2)
    for number in range(60):
        queue._enter(queue._large, photo)
        assert queue.expected([photo]).wait_s == pytest.approx((number + 0.5) * photo.seconds)
    assert len(queue._large.running) == 1
    assert queue.expected([GOOD]).wait_s == 0
    with queue.slot(GOOD, RequestState.lasting(60)):  # the heavy ones never leave
        assert queue.expected([GOOD]).wait_s == 0
        with queue.slot(GOOD, RequestState.lasting(60)):
            assert queue.expected([GOOD]).wait_s == pytest.approx(GOOD.seconds / 2)


@pytest.mark.parametrize(
    "pixels, seconds, large", [(LARGE_PIXELS, 0.05, False), (1, LONG_S, False)]
)
def test_photos_up_to_the_bounds_are_small(pixels, seconds, large):
    assert (DecodingQueue(1)._lane(header(seconds, pixels)) is DecodingQueue(1)._large) == large


def test_the_pace_of_the_machine_is_learned():
    queue = DecodingQueue(1)
    assert queue.expected([HEAVY, GOOD]).own_s == pytest.approx(1.01)
    queue.learn(1.0, 3.0)
    assert queue.expected([HEAVY]).own_s == pytest.approx(3.0)
    queue.learn(1.0, 1.0)
    assert queue.expected([HEAVY]).own_s == pytest.approx(2.8)


def test_a_slot_that_does_not_come_free_is_an_overload():
    queue = DecodingQueue(1)
    with queue.slot(GOOD, RequestState.lasting(1)):
        with pytest.raises(Overloaded) as caught, queue.slot(GOOD, RequestState.lasting(0)):
            pass
        assert caught.value.retry_after_s == 1
        assert queue._small.waiting == []
    gone = RequestState.lasting(1)
    gone.abandoned.set()
    with pytest.raises(ClientGone), queue.slot(GOOD, gone):
        pass
    assert queue._small.running == []
    with queue.slot(GOOD, RequestState.lasting(1)):
        assert len(queue._small.running) == 1
