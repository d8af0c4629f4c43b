"""python -m tests.blocks [PAGE…]: run every block of README.md and docs/, as a reader types them.

One shell per page, in order, on one machine of a reader: README.md in an empty folder, the pages of
docs/ in the clone that README.md made. Blocks that a run cannot take are listed.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.blocks.fences import FenceError
from tests.blocks.pages import not_run, pages
from tests.blocks.reading import README, read_page
from tests.blocks.shell import BlockError
from tests.blocks.world import make_world

INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def main() -> int:
    parser = argparse.ArgumentParser(prog="blocks", description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, help="after README.md (default: all)")
    # What a page has started ends with this program.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    wanted = parser.parse_args().pages or pages()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="slipway-blocks-") as root:
        world = make_world(Path(root))
        for page in [README, *(page for page in wanted if page != README)]:
            try:
                read_page(world, page, Path(root))
            except (BlockError, FenceError) as error:
                print(f"blocks: failed: {error}", flush=True)
                failed += 1
            if failed and page == README:
                break  # the other pages begin where it ends
    for line in not_run():
        print(line)
    print(f"blocks: pages={len(wanted)} failed={failed}")
    return min(failed, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
