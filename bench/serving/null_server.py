"""python null_server.py: read each request whole, and answer with a fixed label, on port 8080.

What a client waits for it is the client's own time, Docker's network and the wake-ups: the bench
subtracts nothing, but says how much of a server's time that is.
"""

import asyncio
import contextlib

BODY = b'{"predictions": [{"label": "none"}]}\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
END = b"\r\n\r\n"
LENGTH = b"content-length:"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a connection's requests until it ends."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(END)
            _, _, rest = head.lower().partition(LENGTH)
            await reader.readexactly(int(rest.partition(b"\r\n")[0] or 0))
            writer.write(HEAD % len(BODY) + BODY)
            await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(answer, "0.0.0.0", 8080)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
