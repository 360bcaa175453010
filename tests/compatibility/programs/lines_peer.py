# SPDX-License-Identifier: MIT
"""A program of before ipcfast: JSON lines on a Unix socket, by the documents and the standard library alone.

It knows nothing of ipcfast and cannot import it (the tests start it isolated). It does what the lines on its
standard input say, each a JSON array of a command and its arguments, and answers each with one line of JSON:
["ok", result] or ["error", text].
"""

import json
import os
import socket
import sys

FIELDS = ("id", "method", "event", "error")


def document_of(message):
    """Return the object for the wire: type and data always, the others unless they are empty."""
    document = {"type": message["type"], "data": message.get("data", {})}
    for field in FIELDS:
        if message.get(field):
            document[field] = message[field]
    return document


def message_of(document):
    """Return the message with the defaults of the documents; keys that they do not name are not looked at."""
    message = {"type": document.get("type", "data"), "data": document.get("data", {})}
    message.update({field: document.get(field) for field in FIELDS})
    return message


class LocalSocketChannel:
    """One connection: a text file over the socket, one document in each line."""

    def __init__(self, connection):
        self._socket = connection
        self._file = connection.makefile("rw", buffering=1, encoding="utf-8")

    @classmethod
    def connect(cls, path):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        return cls(connection)

    def send(self, message, escaped=False):
        self._file.write(json.dumps(document_of(message), ensure_ascii=escaped) + "\n")
        self._file.flush()

    def receive(self):
        """Return the next message; None at the end, and for a blank line."""
        line = self._file.readline().strip()
        return message_of(json.loads(line)) if line else None

    def send_bytes(self, data):
        """Write what no line-buffered file would: pieces of lines, and what is no text."""
        self._socket.sendall(data)

    def receive_line(self, size):
        """Return the next line as it came, read in chunks of that many bytes, as from an unbuffered pipe."""
        line = b""
        while not line.endswith(b"\n"):
            rest = self._socket.recv(size, socket.MSG_PEEK)
            if not rest:
                break
            line += self._socket.recv(rest.find(b"\n") + 1 or len(rest))
        return line

    def end_writing(self):
        self._socket.shutdown(socket.SHUT_WR)

    def close(self):
        self._file.close()
        self._socket.close()


class LocalSocketChannelServer:
    """Binds in place of whatever is there, as such programs do."""

    def __init__(self, path):
        if os.path.exists(path):
            os.unlink(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(path)
        self._socket.listen(16)
        self._path = path

    def accept(self):
        connection, _ = self._socket.accept()
        return LocalSocketChannel(connection)

    def close(self):
        self._socket.close()
        os.unlink(self._path)


class Commands:
    """What the tests ask for, by method; bytes are told in hexadecimal digits."""

    def __init__(self):
        self._server = None
        self._channel = None

    def listen(self, path):
        self._server = LocalSocketChannelServer(path)

    def accept(self):
        self._channel = self._server.accept()

    def connect(self, path):
        self._channel = LocalSocketChannel.connect(path)

    def send(self, message, escaped=False):
        self._channel.send(message, escaped)

    def receive(self):
        return self._channel.receive()

    def send_bytes(self, digits):
        self._channel.send_bytes(bytes.fromhex(digits))

    def receive_line(self, size=4096):
        return self._channel.receive_line(size).hex()

    def exchange_large(self, size):
        """Send one long text and receive one, in this order, whatever the peer does first."""
        self._channel.send({"type": "data", "data": "大" * size})
        return self._channel.receive()["data"] == "小" * size

    def serve(self):
        """Answer requests, as the other half of a packed program does; how many there were."""
        self._channel.send({"type": "ready", "data": {"handlers": ["echo"]}})
        count = 0
        while True:
            message = self._channel.receive()
            if message is None:
                return count
            if message["type"] == "request":
                self._channel.send({"type": "event", "event": "called", "data": message["method"]})
                self._channel.send({"type": "response", "id": message["id"], "data": message["data"]})
                count += 1

    def end_writing(self):
        self._channel.end_writing()

    def close(self):
        self._channel.close()

    def close_server(self):
        self._server.close()

    def forget(self):
        """Drop whatever there is, as at the beginning."""
        self._channel = self._server = None


def main():
    commands = Commands()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = ["ok", getattr(commands, name)(*arguments)]
        except Exception as error:
            answer = ["error", f"{type(error).__name__}: {error}"]
        print(json.dumps(answer), flush=True)


main()
