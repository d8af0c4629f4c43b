"""What a soak test found: numbers for its last line, and failures."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from runtime.load import Answer, Request

MOST_FAILURES = 20  # that are kept and shown

# a photo's request and the body of its answer, by the request's name
Good = dict[str, tuple[Request, bytes]]


def endless(good: Good) -> Iterator[Request]:
    """The photos' requests in turn, over and over."""
    return itertools.cycle([request for request, _ in good.values()])


@dataclass
class Verdict:
    """Numbers for the last line, and failures. timed: whether times count."""

    timed: bool
    numbers: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:
        """Note a failure, if there are not many already."""
        if not holds and len(self.failures) < MOST_FAILURES:
            self.failures.append(sentence)
            print(f"soak: FAILED: {sentence}", flush=True)

    def expect_in_time(self, holds: bool, sentence: str) -> None:
        """The same for what depends on how busy the machine is."""
        self.expect(holds or not self.timed, sentence)


def is_correct(answer: Answer, good: Good) -> bool:
    """Whether a photo is answered as it was alone."""
    _, body = good[answer.request.name]
    return answer.status == 200 and answer.body == body


def is_refusal(answer: Answer) -> bool:
    """Whether a server answered without an error of its own."""
    return 0 < answer.status < 500


def described(answer: Answer) -> str:
    """An answer in one line."""
    request = f"{answer.request.name} as {answer.request.content_type}"
    return f"{request}: {answer.status} {answer.error} {answer.body[:200]!r}"
