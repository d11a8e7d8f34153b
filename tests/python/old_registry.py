"""The older system's registry as observed: three routes over http.server, HTTP/1.0 replies.

Standard library only. The first line printed is the port. Replies have no Content-Length and no
ETag; request bodies must have a Content-Length; any other route is a 404 as JSON.
"""

import argparse
import json
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Table:
    def __init__(self, ttl):
        self.ttl, self.lock, self.entries = ttl, threading.Lock(), {}

    @staticmethod
    def key(instance):
        return (instance["protocol"], instance["host"], instance["port"])

    def register(self, instance):
        with self.lock:
            # The first registration is kept: changed parameters were never noticed.
            kept, _ = self.entries.get(self.key(instance), (instance, 0))
            kept["status"] = True
            self.entries[self.key(instance)] = (kept, time.time())
            return kept

    def unregister(self, instance):
        with self.lock:
            self.entries.pop(self.key(instance), None)
        instance["status"] = False
        return instance

    def find_all(self, protocol):
        with self.lock:
            return [kept for kept, _ in self.entries.values() if kept["protocol"] == protocol]

    def expire(self):
        with self.lock:
            oldest = time.time() - self.ttl
            self.entries = {k: e for k, e in self.entries.items() if e[1] >= oldest}


class Handler(BaseHTTPRequestHandler):
    def reply(self, code, content):
        self.send_response(code)
        self.send_header("Content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path == "/myRegistry/findAllInstances":
            protocol = urllib.parse.parse_qs(url.query).get("proto", [None])[0]
            self.reply(200, self.server.table.find_all(protocol))
        else:
            self.reply(404, {"error": "Not Found"})

    def do_POST(self):
        path = urllib.parse.urlparse(self.path).path
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "/myRegistry/register":
            self.reply(200, self.server.table.register(json.loads(body)))
        elif path == "/myRegistry/unregister":
            self.reply(200, self.server.table.unregister(json.loads(body)))
        else:
            self.reply(404, {"error": "Not Found"})

    def log_message(self, format, *args):
        print(format % args, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ttl", type=float, default=10.0, help="seconds")
    parser.add_argument("--check", type=float, default=5.0, help="seconds")
    options = parser.parse_args()
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    server.table = Table(options.ttl)

    def keep_expiring():
        while True:
            time.sleep(options.check)
            server.table.expire()

    threading.Thread(target=keep_expiring, daemon=True).start()
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
