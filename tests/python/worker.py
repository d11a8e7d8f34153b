"""A worker for tests (rpcd serve --worker), with methods that behave badly on request.

--threads: calls run side by side, and are cancelled when that is asked for; --stubborn: it outlives the
end of its input and SIGTERM; --lists NAME: one more method; --dies: it ends after it has listed its
methods; --silent: it lists none."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

WRITING = threading.Lock()
CANCELLED = {}


def write(**message):
    with WRITING:
        print(json.dumps(message), flush=True)


def pid(call):
    return os.getpid()


def echo(call, value):
    return value


def arguments(call, a, b, c=3):
    return [call["method_args"], call["method_kwargs"]]


def nap(call, seconds):
    if CANCELLED.setdefault(call["id"], threading.Event()).wait(seconds):
        raise RuntimeError("cancelled")
    return os.getpid()


nap_again = nap


def sleep(call, seconds):
    time.sleep(seconds)
    return os.getpid()


def tick(call, seconds):
    for _ in range(int(seconds / 0.05)):
        write(id=call["id"], item=os.getpid())
        time.sleep(0.05)


def cancelled(call):
    return sum(event.is_set() for event in CANCELLED.values())


def variable(call, name):
    return os.environ.get(name)


def time_left(call):
    return call.get("meta", {}).get("deadline_ms")


def fail(call):
    raise ValueError("it failed")


def not_a_number(call):
    return float("nan")


def say(call, text):
    with WRITING:
        print(text, flush=True)
    return None


def long_line(call, size):
    return "x" * size


def log(call, text):
    print(text, file=sys.stderr)


def leave(call, status):
    print("error: leaving", file=sys.stderr, flush=True)
    os._exit(status)


def fork(call):
    return subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL).pid


def count(call, to):
    for number in range(to):
        write(id=call["id"], item=number)


def flood(call, lines):
    """As much on standard error as on standard output, at the same time."""

    def errors():
        for number in range(lines):
            print("debug flood", number, "e" * 200, file=sys.stderr)

    beside = threading.Thread(target=errors)
    beside.start()
    for number in range(lines):
        write(id=call["id"], item="o" * 200)
    beside.join()


METHODS = {f.__name__: f for f in (pid, echo, arguments, nap, sleep, tick, cancelled, variable, time_left, fail, not_a_number,
                                   say, long_line, log, leave, fork, count, flood)}
METHODS["nap_again"] = nap_again
STREAMS = ("count", "flood", "tick")
IDEMPOTENT = ("pid", "nap_again")


def listing():
    def describe(name, function):
        code = function.__code__
        names = code.co_varnames[1:code.co_argcount]
        optional = dict(zip(reversed(names), reversed(function.__defaults__ or ())))
        params = [{"name": n, "required": n not in optional,
                   "schema": {"default": optional[n]} if n in optional else {}} for n in names]
        return {"name": name, "params": params, "x-stream": name in STREAMS,
                "x-idempotent": name in IDEMPOTENT}

    return {"methods": [describe(*method) for method in METHODS.items()]}


def answer(call):
    name = call["method_name"]
    try:
        if name == "rpc.discover":
            return write(id=call["id"], res=listing())
        result = METHODS[name](call, *call["method_args"], **call["method_kwargs"])
        if name in STREAMS:
            write(id=call["id"], end=True)
        else:
            write(id=call["id"], res=result)
    except Exception as error:
        write(id=call["id"], error={"code": 7, "message": str(error), "data": name})


def main():
    flags = sys.argv[1:]
    if "--lists" in flags:
        METHODS[flags[flags.index("--lists") + 1]] = pid
    if "--silent" in flags:
        time.sleep(1000)
    if "--stubborn" in flags:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        message = json.loads(line)
        if "cancel" in message:
            CANCELLED.setdefault(message["cancel"], threading.Event()).set()
        elif "draining" in message:
            print("info told to drain", file=sys.stderr)
        elif "--threads" in flags:
            threading.Thread(target=answer, args=[message], daemon=True).start()
        else:
            answer(message)
        if "--dies" in flags:
            print("error: no database", file=sys.stderr, flush=True)
            os._exit(3)
    print("info input ended", file=sys.stderr)
    if "--stubborn" in flags:
        time.sleep(1000)


main()
