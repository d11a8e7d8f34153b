"""The older system's client as measured: one connection per call, one recv(1024), 10 s.

Standard library only. Prints one JSON value per line: the `res` of each call.

    old_client.py --port P call METHOD [ARGS_JSON [KWARGS_JSON]]
    old_client.py --port P calls FILE       each line of FILE: [METHOD, ARGS, KWARGS]
    old_client.py --registry HOST:PORT sync     three calls in sequence
    old_client.py --registry HOST:PORT async    thirty at once
    old_client.py --registry HOST:PORT repeat   a call per line read from standard input

If a call fails, the error is printed to standard error and the exit code is 1.
"""

import argparse
import asyncio
import http.client
import json
import random
import socket
import sys
import threading

TIMEOUT = 10
POLL = 3
SYNC = [("add", [1, 2], {"c": 5}), ("hello", ["Ada"], {}), ("divide", [6, 2], {})]
ASYNC = [("add", [number, 1], {}) for number in range(30)]


class Direct:
    def __init__(self, host, port):
        self.address = (host, port)

    def choose(self):
        return self.address


class Registry:
    """The list of instances, refreshed every three seconds; the last good one is kept."""

    def __init__(self, address):
        self.address, self.instances = address, []
        self.poll()
        threading.Thread(target=self.keep_polling, daemon=True).start()

    def keep_polling(self):
        while not threading.Event().wait(POLL):
            try:
                self.poll()
            except (OSError, http.client.HTTPException, ValueError) as error:
                print("poll:", error, file=sys.stderr, flush=True)

    def poll(self):
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        connection.request("GET", "/myRegistry/findAllInstances?proto=json")
        self.instances = json.loads(connection.getresponse().read())
        connection.close()

    def choose(self):
        if not self.instances:
            raise OSError("no instances registered")
        instance = random.choice(self.instances)
        return instance["host"], instance["port"]


def encode(method, args, kwargs):
    return json.dumps(
        {"method_name": method, "method_args": args, "method_kwargs": kwargs}
    ).encode()


def call(target, method, args, kwargs):
    host, port = target.choose()
    family = socket.AF_INET if "." in host else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect((host, port))
        connection.sendall(encode(method, args, kwargs))
        return json.loads(connection.recv(1024))["res"]


async def call_async(target, method, args, kwargs):
    host, port = target.choose()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(encode(method, args, kwargs))
    await writer.drain()
    data = await asyncio.wait_for(reader.read(1024), TIMEOUT)
    writer.close()
    return json.loads(data)["res"]


async def thirty(target):
    return await asyncio.gather(*(call_async(target, *one) for one in ASYNC))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    parser.add_argument("--registry", help="HOST:PORT")
    parser.add_argument("what", choices=["call", "calls", "sync", "async", "repeat"])
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    if options.registry:
        target = Registry(options.registry)
    else:
        target = Direct(options.host, options.port)

    def show(result):
        print(json.dumps(result), flush=True)

    if options.what == "call":
        method, args, kwargs = (options.rest + ["[]", "{}"][len(options.rest) - 1 :])[:3]
        show(call(target, method, json.loads(args), json.loads(kwargs)))
    elif options.what == "calls":
        with open(options.rest[0], encoding="utf-8") as lines:
            for line in lines:
                show(call(target, *json.loads(line)))
    elif options.what == "sync":
        for one in SYNC:
            show(call(target, *one))
    elif options.what == "async":
        for result in asyncio.run(thirty(target)):
            show(result)
    else:
        for line in sys.stdin:
            show(call(target, *json.loads(line)))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, KeyError) as failure:
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        sys.exit(1)
