"""Requests sent byte for byte, and all that comes back."""

import re
import socket


def talk(url, request, wait=10):
    """What is answered until the other side closes, as it should, or is silent for `wait` seconds."""
    host, port = url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        try:
            connection.sendall(request)
            connection.settimeout(wait)
            while chunk := connection.recv(65536):
                answer += chunk
        except (TimeoutError, ConnectionError):
            pass
    return answer


def status_of(answer):
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(match[1]) if match else None


def headers_of(answer):
    """Of the first answer, by their lower-case names."""
    lines = answer.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
