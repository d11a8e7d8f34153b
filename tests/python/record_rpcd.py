"""Records the bytes between the client, server and registry of one build of rpcd into ../transcripts.

Run by hand before a change of what programs say to each other, with the build before it:
`python3 record_rpcd.py /path/to/rpcd COMMIT`. The tests replay the recordings against the rpcd of the
day, in both directions (../system/version_skew.rs).

A folder has one file per command of a client: how it was started, its output, and its connections to
the server and to the registry; `announce.json` has those of a server that registers, sends heartbeats
and unregisters; `pages.json` those of programs that only read over HTTP. A connection is a list of
`["client"|"server", bytes as latin-1 text]`, one entry per direction until it changes. Ports are
replaced by numbers of the same length.
"""

import json
import pathlib
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).parent

# Written instead of the ports of the recording.
SERVER, REGISTRY, OTHER = 55501, 55502, 55503

# An instance that comes and goes while `watch` runs.
VISITOR = {"protocol": "json", "host": "127.0.0.1", "port": OTHER, "status": True, "parameters": {}}

# Name of the file, arguments. TARGET is one server or the registry's, as the case may be.
DIRECT, LISTED = ["-i", "127.0.0.1", "-p", str(SERVER)], ["--registry", f"http://127.0.0.1:{REGISTRY}"]
COMMANDS = [
    ("call", ["call", "--json", "add", "1", "2", "c=3", *DIRECT]),
    ("call_text", ["call", "hello", "W\u00f6rld \U0001f600", *DIRECT]),
    ("call_json", ["call", "--json", "echo", "-d", '{"value":[1,2.5,null,"\u00e9"]}', *DIRECT]),
    ("call_many", ["call", "--json", "square", "7", "--repeat", "20", "--concurrency", "5", *DIRECT]),
    ("call_unknown", ["call", "--json", "ad", "1", *DIRECT]),
    ("call_wrong", ["call", "--json", "add", "1", *DIRECT]),
    ("call_timeout", ["call", "--json", "sleep", "5", "--timeout", "200ms", *DIRECT]),
    ("call_stream", ["call", "--json", "--stream", "rpc.logs", "recent=2", *DIRECT,
                     "--timeout", "300ms"]),
    ("methods", ["methods", "--json", *DIRECT]),
    ("describe", ["describe", "--json", "divide", *DIRECT]),
    ("health", ["health", "--json", f"127.0.0.1:{SERVER}"]),
    ("stats", ["stats", "--json", *DIRECT]),
    ("logs", ["logs", "--json", "--no-follow", *DIRECT]),
    ("listed_call", ["call", "--json", "add", "1", "2", *LISTED]),
    ("listed_call_many", ["call", "--json", "square", "7", "--repeat", "20", "--concurrency", "5",
                          *LISTED]),
    ("listed_methods", ["methods", "--json", *LISTED]),
    ("listed_instances", ["instances", "--json", *LISTED]),
    ("listed_health", ["health", "--json", *LISTED]),
    ("listed_stats", ["stats", "--json", *LISTED]),
    ("listed_logs", ["logs", "--json", "--no-follow", *LISTED]),
    ("listed_watch", ["watch", "--json", "--beats", *LISTED]),
]

# Requests of monitors and of programs in other languages.
SERVER_PAGES = ["/healthz", "/readyz", "/metrics", "/openrpc.json", "/nothing"]
REGISTRY_PAGES = [
    "/myRegistry/findAllInstances?proto=json",
    "/v1/instances?proto=json",
    "/healthz",
    "/readyz",
    "/metrics",
    "/nothing",
]


class Tee:
    """A proxy that records both directions of every connection."""

    def __init__(self, port):
        self.target, self.connections, self.lock = port, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        entries = []
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            with self.lock:
                self.connections.append(entries)
            sides = {client: ("client", server), server: ("server", client)}
            while sides:
                for source in select.select(list(sides), [], [])[0]:
                    side, sink = sides[source]
                    try:
                        data = source.recv(65536)
                    except OSError:
                        return
                    if not data:
                        del sides[source]
                        try:
                            sink.shutdown(socket.SHUT_WR)
                        except OSError:
                            return
                        continue
                    with self.lock:
                        if entries and entries[-1][0] == side:
                            entries[-1][1] += data
                        else:
                            entries.append([side, data])
                    try:
                        sink.sendall(data)
                    except OSError:
                        return

    def taken(self):
        """The connections so far, which are then forgotten."""
        time.sleep(0.1)
        with self.lock:
            taken, self.connections = self.connections, []
            return [[[side, data] for side, data in entries] for entries in taken if entries]


class Recording:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.home = tempfile.mkdtemp()
        self.ports = {}

    def start(self, *arguments, **settings):
        return subprocess.Popen(
            [self.program, *arguments], cwd=self.home, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={"XDG_CONFIG_HOME": self.home, **{f"RPCD_{k}": v for k, v in settings.items()}})

    def place(self, text):
        for written, port in self.ports.items():
            text = text.replace(str(written), str(port))
        return text

    def written(self, text):
        for written, port in self.ports.items():
            text = text.replace(str(port), str(written))
        return text

    def connections(self, tee):
        return [[[side, self.written(data.decode("latin-1"))] for side, data in entries]
                for entries in tee.taken()]

    def save(self, name, content):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(path, {key: len(value) for key, value in content.items() if key in ("server", "registry")})


def listening(daemon):
    for line in daemon.stderr:
        if "listening" in line:
            threading.Thread(target=daemon.stderr.read, daemon=True).start()
            return int(line.split("address=127.0.0.1:")[1].split()[0])
    raise SystemExit("it does not listen")


def post(port, action, instance):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/myRegistry/{action}?proto=json", json.dumps(instance).encode(),
        {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()


def read(port, page):
    head = f"GET {page} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode())
        while connection.recv(65536):
            pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def run(recording, name, arguments, server, registry):
    started = recording.start(*map(recording.place, arguments))
    if name == "listed_watch":
        first = started.stdout.readline()
        visitor = {**VISITOR, "port": recording.ports[OTHER]}
        post(registry.target, "register", visitor)
        time.sleep(0.3)
        post(registry.target, "unregister", visitor)
        time.sleep(0.3)
        started.terminate()
        output = first + started.communicate()[0]
    else:
        output = started.communicate()[0]
    recording.save(name, {
        "arguments": arguments,
        "code": started.returncode,
        "output": recording.written(output),
        "server": recording.connections(server),
        "registry": recording.connections(registry),
    })


def main():
    program, commit = sys.argv[1:]
    folder = HERE.parent / "transcripts" / f"rpcd-{commit}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    recording = Recording(program, folder)

    registry = recording.start("registry", "-p", "0", "-l", "127.0.0.1")
    registry_port = listening(registry)
    # Each kind of caller has its own way to the registry.
    announcing, asking = Tee(registry_port), Tee(registry_port)
    real = free_port()
    serving = Tee(real)
    recording.ports = {SERVER: serving.port, REGISTRY: asking.port, OTHER: free_port()}
    assert all(len(str(port)) == 5 for port in recording.ports.values())
    server = recording.start(
        "serve", "-p", str(real), "-l", "127.0.0.1", "--registry",
        f"http://127.0.0.1:{announcing.port}", "--advertise", f"127.0.0.1:{serving.port}",
        SERVER_HEARTBEAT_INTERVAL="500ms")
    listening(server)
    recording.ports |= {55504: announcing.port, 55505: registry_port, 55506: real}
    time.sleep(1.2)
    try:
        for name, arguments in COMMANDS:
            run(recording, name, arguments, serving, asking)
        for tee, pages in [(serving, SERVER_PAGES), (asking, REGISTRY_PAGES)]:
            for page in pages:
                read(tee.port, page)
        recording.save("pages", {
            "server": recording.connections(serving),
            "registry": recording.connections(asking),
        })
    finally:
        server.terminate()
        server.wait()
        announced = recording.connections(announcing)
        recording.save("announce", {"registry": announced})
        registry.terminate()
        registry.wait()
        shutil.rmtree(recording.home)


if __name__ == "__main__":
    main()
