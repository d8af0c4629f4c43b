"""Requests by hand over a socket, for clients that http.client cannot imitate."""

import socket


def head(length: int, content_type: str = "image/jpeg") -> bytes:
    """The head of a POST /invocations with a body of that many bytes."""
    return (
        "POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def connect(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    received = b""
    # recv may give any part of an answer.
    while chunk := connection.recv(65536):
        received += chunk
    return received
