"""Ports for servers that start side by side: no two callers are given the same one."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from runtime.ports import BLOCK, free_port
from tests.support.jobs import REPOSITORY

ASK = "from runtime.ports import free_port; print(*(free_port() for _ in range(40))); input()"


def test_no_two_processes_and_no_two_threads_get_the_same():
    others = [
        subprocess.Popen(
            [sys.executable, "-c", ASK],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    with ThreadPoolExecutor(8) as pool:
        ports = list(pool.map(lambda _: free_port(), range(BLOCK // 2)))
    for other in others:
        assert other.stdout is not None  # it is a pipe
        ports += map(int, other.stdout.readline().split())
    for other in others:
        other.communicate("\n")
    assert len(ports) == BLOCK // 2 + 4 * 40
    assert len(set(ports)) == len(ports)


def test_a_port_that_is_taken_is_passed_over():
    with socket.socket() as server:
        port = free_port()
        server.bind(("127.0.0.1", port))
        server.listen()
        assert port not in {free_port() for _ in range(BLOCK)}


def test_without_a_place_for_locks_there_are_ports_all_the_same():
    code = """
import tempfile
from runtime.ports import free_port
tempfile.tempdir = "/nowhere"
print(free_port())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 1024
