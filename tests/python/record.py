"""Records the bytes between the older client and server into ../transcripts.

Run by hand (`python3 record.py`) when the stand-ins change; the tests replay the recordings. Each
connection is a list of `["client"|"server", bytes as latin-1 text]`, one entry per recv.
"""

import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).parent

# The client's calls, one connection each: every method, every error text.
CALLS = [
    ["add", [1, 2], {"c": 5}],
    ["add", [1, 2], {}],
    ["add", [], {"a": 1, "b": 2}],
    ["add", [1.5, 2], {"c": -3}],
    ["add", [9007199254740993, 0], {"c": 0}],
    ["subtract", [1, 2], {}],
    ["multiply", [6, 7], {}],
    ["divide", [6, 2], {}],
    ["divide", [1, 3], {}],
    ["divide", [1, 0], {}],
    ["area_of_circle", [2], {}],
    ["square", [-12], {}],
    ["to_uppercase", ["stra\u00dfe \u00e9"], {}],
    ["reverse_string", ["abc \u00e9"], {}],
    ["hi", ["Ada"], {}],
    ["hi", [0], {}],
    ["hello", ["W\u00f6rld \U0001f600"], {}],
    ["hello", [], {"name": "\"quoted\" \\ \n \t"}],
    ["all_your_methods", [], {}],
    ["nope", [], {}],
    ["", [], {}],
    ["add", [1], {}],
    ["add", [], {}],
    ["add", [1, 2, 3, 4], {}],
    ["add", [1, 2], {"z": 1}],
    ["add", [1, 2], {"a": 1}],
    ["subtract", [1, 2, 3], {}],
    ["subtract", [], {}],
    ["square", [], {}],
    ["square", [1, 2], {}],
    ["hello", ["x" * 900], {}],
]

# Requests of other programs, several on one connection, one recv each.
RAW = [
    '{"method_kwargs": {}, "method_args": [1, 2], "method_name": "add"}',
    '{"method_name":"subtract","method_args":[5,3],"method_kwargs":{}}',
    '{"method_name": "nope", "method_name": "square", "method_args": [3], "method_kwargs": {}}',
    '{"method_name": "square", "method_args": [4], "method_kwargs": {}, "extra": {"a": [null]}}',
    '  {"method_name": "square", "method_args": [5], "method_kwargs": null}\n',
    '{"method_name": "add", "method_args": [1, 2]}',
    '{"method_name": "add", "method_kwargs": {}}',
    '{"method_name": "add"}',
    '{"id": 0, "method_name": "rpc.health", "method_args": [], "method_kwargs": {}}',
    '{"id":0,"method_name":"rpc.health"}',
]

# These get an error with Python's own text; only its prefix is part of the protocol.
JUNK = ["junk", "{oops", "[1, 2}", "'single'", "\u0000\u0001"]

# For our client only: values that Python's json writes and JSON does not have.
FOR_CLIENTS = [
    ["infinite", [], {}],
    ["huge", [], {}],
    ["long_text", [5000], {}],
]


class Tee:
    """A proxy between client and server that records the bytes."""

    def __init__(self, server_port):
        self.server_port, self.connections = server_port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            entries = []
            self.connections.append(entries)
            with client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
                while data := client.recv(65536):
                    entries.append(["client", data.decode("latin-1")])
                    server.sendall(data)
                    entries.append(["server", server.recv(65536).decode("latin-1")])
                    client.sendall(entries[-1][1].encode("latin-1"))


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, HERE / program, *arguments], stdout=subprocess.PIPE, text=True
    )


def raw(port, messages):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for message in messages:
            connection.sendall(message.encode())
            connection.recv(65536)


def save(name, connections):
    path = HERE.parent / "transcripts" / name
    path.write_text(json.dumps(connections, indent=1) + "\n", encoding="utf-8")
    print(path, len(connections), "connections")


def calls(port, listed):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.write("".join(json.dumps(one) + "\n" for one in listed))
        file.flush()
        start("old_client.py", "--port", str(port), "calls", file.name).communicate()


def main():
    server = start("old_server.py", "--port", "0")
    port = int(server.stdout.readline())
    try:
        for name, talk in [
            ("calls.json", lambda tee: calls(tee.port, CALLS)),
            ("sync.json", lambda tee: start(
                "old_client.py", "--port", str(tee.port), "sync").communicate()),
            ("one_connection.json", lambda tee: raw(tee.port, RAW)),
            ("junk.json", lambda tee: [raw(tee.port, [one]) for one in JUNK]),
            ("beyond_json.json", lambda tee: [
                raw(tee.port, [json.dumps(
                    {"method_name": m, "method_args": a, "method_kwargs": k})])
                for m, a, k in FOR_CLIENTS]),
        ]:
            tee = Tee(port)
            talk(tee)
            save(name, tee.connections)
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
