"""A JSON-RPC server over HTTP made with pjrpc from PyPI: json_rpc_server.py [discover]. Prints its port."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pjrpc.server

methods = pjrpc.server.MethodRegistry()


@methods.add(name="add")
def add(a: float, b: float) -> float:
    return a + b


notes = []


@methods.add(name="note")
def note(text, level=None):
    notes.append([text] if level is None else [text, level])


@methods.add(name="notes")
def all_notes():
    return notes


@methods.add(name="fail")
def fail():
    raise pjrpc.server.exceptions.JsonRpcError(code=17, message="It failed", data={"why": "asked"})


@methods.add(name="by_name")
def by_name(*, a: int, b: int = 1) -> list:
    return ["by name", a, b]


if sys.argv[1:] == ["discover"]:
    # As generators write it: what several methods use is in one place.
    number = {"$ref": "#/components/schemas/Number"}
    params = [{"name": name, "required": True, "schema": number} for name in "ab"]
    described = {
        "openrpc": "1.3.2",
        "info": {"title": "pjrpc", "version": "1"},
        "methods": [
            {"name": "add", "summary": "Adds two numbers.", "params": params},
            {"name": "fail", "params": []},
            {"name": "by_name", "paramStructure": "by-name", "params": params},
        ],
        "components": {"schemas": {"Number": {"type": "number"}}},
    }
    methods.add(name="rpc.discover")(lambda: described)

dispatcher = pjrpc.server.Dispatcher()
dispatcher.add_methods(methods)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = self.rfile.read(int(self.headers["Content-Length"])).decode()
        reply = dispatcher.dispatch(request, None)
        body = reply[0].encode() if reply else b""
        self.send_response(200 if reply else 204)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
