"""The older system's server as observed: JSON over TCP, one recv(1024) taken for one message.

Standard library only. The first line printed is the port. With --registry it registers and sends
heartbeats; SIGTERM or SIGINT unregisters, and with --beat-on (as the original did) the heartbeats
continue.
"""

import argparse
import http.client
import inspect
import json
import math
import signal
import socket
import sys
import threading


def add(a, b, c=10):
    return a + b + c


def subtract(a, b):
    return a - b


def multiply(a, b):
    return a * b


def divide(a, b):
    if b == 0:
        return "Division by zero error!"
    return a / b


def area_of_circle(radius):
    return math.pi * radius * radius


def square(number):
    return number * number


def to_uppercase(string):
    return string.upper()


def reverse_string(string):
    return string[::-1]


def hi(user):
    return f"hi {user}, welcome"


def hello(name):
    return f"Hello, {name}!"


def infinite():
    """Python's json writes Infinity and NaN, which JSON does not have."""
    return [math.inf, math.nan]


def huge():
    return 2**70


def long_text(length):
    return "x" * length


METHODS = {
    method.__name__: method
    for method in (add, subtract, multiply, divide, area_of_circle, square)
    + (to_uppercase, reverse_string, hi, hello)
}
# Further methods for the tests, which discovery does not list.
HIDDEN = {method.__name__: method for method in (infinite, huge, long_text)}


def all_your_methods():
    described = []
    for name, method in METHODS.items():
        parameters = inspect.signature(method).parameters.values()
        required = [p.name for p in parameters if p.default is inspect.Parameter.empty]
        optional = {p.name: p.default for p in parameters if p.name not in required}
        described.append(
            {"method_name": name, "method_args": required, "method_kwargs": optional}
        )
    return described


def reply_to(data):
    """The value of `res`; errors are texts in it."""
    try:
        request = json.loads(data)
        name = request.get("method_name")
        if name == "all_your_methods":
            return all_your_methods()
        method = METHODS.get(name) or HIDDEN.get(name)
        if method is None or "method_args" not in request or "method_kwargs" not in request:
            return f"No service found for: {name}"
        args = request["method_args"] or []
        kwargs = request["method_kwargs"] or {}
    except Exception as error:
        return f"Error calling method: {error}"
    try:
        return method(*args, **kwargs)
    except TypeError as error:
        return f"Argument error: {error}"
    except Exception as error:
        return f"Error calling method: {error}"


def serve_connection(connection):
    with connection:
        try:
            while data := connection.recv(1024):
                connection.sendall(json.dumps({"res": reply_to(data)}).encode())
        except OSError:
            pass


class Announcer:
    """Registers, then sends heartbeats; a failed one is retried at the next interval."""

    def __init__(self, registry, host, port, every, beat_on):
        self.registry, self.every, self.beat_on = registry, every, beat_on
        self.stopped = threading.Event()
        self.body = json.dumps(
            {"protocol": "json", "host": host, "port": port, "status": True, "parameters": {}}
        )

    def post(self, action):
        try:
            connection = http.client.HTTPConnection(self.registry, timeout=2)
            path = f"/myRegistry/{action}?proto=json"
            connection.request("POST", path, self.body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            connection.close()
            self.log(f"{action} {response.status}")
        except (OSError, http.client.HTTPException) as error:
            self.log(f"{action} {error}")

    def log(self, line):
        # One write per line, since two threads log.
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def run(self):
        while not self.stopped.is_set():
            self.post("register")
            self.stopped.wait(self.every)

    def stop(self):
        if not self.beat_on:
            self.stopped.set()
        self.post("unregister")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--registry", help="HOST:PORT")
    parser.add_argument("--beat", type=float, default=5.0, help="seconds")
    parser.add_argument("--beat-on", action="store_true", help="send heartbeats after unregistering too")
    options = parser.parse_args()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    # A host with a dot is IPv4, any other IPv6.
    family = socket.AF_INET if "." in options.host else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(5)
        port = listener.getsockname()[1]
        print(port, flush=True)
        announcer = None
        if options.registry:
            announcer = Announcer(
                options.registry, options.host, port, options.beat, options.beat_on
            )
            # With --beat-on the heartbeats keep the process running.
            threading.Thread(target=announcer.run, daemon=not options.beat_on).start()
        listener.settimeout(0.1)
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            threading.Thread(target=serve_connection, args=(connection,)).start()
    if announcer:
        announcer.stop()
    # The connection threads are joined here: an idle client keeps the process running, as it did.


if __name__ == "__main__":
    main()
