"""A mail server for tests, which answers as it is told."""

import socket
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import Message


class MailServer(socketserver.ThreadingTCPServer):
    """Accepts emails into `received`.

    `replies` has other replies to a command, by its name or as "RCPT ada@example.com"; "CLOSE"
    closes the connection. `delays` has seconds before a reply.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Session)
        self.replies: dict[str, str] = {}
        self.delays: dict[str, float] = {}
        self.received: list[Message] = []


class _Session(socketserver.StreamRequestHandler):
    def handle(self):
        self._reply("CONNECT", "220 ready")
        for line in self.rfile:
            command = line[:4].decode().strip().upper()
            if command == "RCPT":
                command = f"RCPT {line.decode().partition('<')[2].partition('>')[0]}"
            if command == "DATA":
                if self._reply("DATA", "354 go on").startswith("354"):
                    self._receive()
            else:
                self._reply(command, "221 bye" if command == "QUIT" else "250 ok")

    def _receive(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        if self._reply("END", "250 accepted").startswith("250"):
            self.server.received.append(message_from_bytes(b"".join(lines)))

    def _reply(self, command: str, usual: str) -> str:
        general = command.partition(" ")[0]
        reply = self.server.replies.get(command, self.server.replies.get(general, usual))
        time.sleep(self.server.delays.get(command, 0))
        if reply == "CLOSE":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            with suppress(OSError):  # the other side did not wait
                self.wfile.write(f"{reply}\r\n".encode())
        return reply


@contextmanager
def running():
    """Run a mail server."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
