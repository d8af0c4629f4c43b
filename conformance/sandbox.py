"""sandbox.py [options] -- COMMAND…: runs a command in a place that is closed as a container is.

It needs root, on Linux. It runs as a file, by any Python since 3.11, so that it starts in
milliseconds, and becomes the command, under the same process id.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

# flags of unshare(2), mount(2) and netdevice(7)
NEW_MOUNTS = 0x00020000
NEW_NETWORK = 0x40000000
READ_ONLY = 1
REMOUNT = 32
BIND = 4096
RECURSIVE = 16384
PRIVATE = 1 << 18
SET_FLAGS = 0x8914
UP = 1
LOOPBACK = b"lo"


def main() -> None:
    """--read-only PATH (repeated), --shm-mb N, --no-network; OSError where the kernel refuses."""
    arguments = sys.argv[1:]
    split = arguments.index("--")
    options = arguments[:split]
    command = arguments[split + 1 :]
    no_network = "--no-network" in options
    libc = ctypes.CDLL(None, use_errno=True)
    call(libc, "unshare", NEW_MOUNTS | (NEW_NETWORK if no_network else 0))
    # private: the mounts below are this command's alone
    call(libc, "mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    for path in values(options, "--read-only"):
        place = os.fsencode(path)
        call(libc, "mount", place, place, None, BIND | RECURSIVE, None)
        call(libc, "mount", None, place, None, BIND | REMOUNT | READ_ONLY, None)
    for size in values(options, "--shm-mb"):
        call(libc, "mount", b"tmpfs", b"/dev/shm", b"tmpfs", 0, f"size={size}m".encode())
    if no_network:
        with socket.socket() as probe:
            fcntl.ioctl(probe, SET_FLAGS, struct.pack("16sh14x", LOOPBACK, UP))
    os.execvp(command[0], command)


def values(options: list[str], name: str) -> list[str]:
    """The values of an option that may stand there several times."""
    return [options[place + 1] for place, word in enumerate(options) if word == name]


def call(libc: ctypes.CDLL, name: str, *arguments: object) -> None:
    """A function of libc. OSError when it fails."""
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
