"""Callers like the older client: an open loop of `run(id)`, each on a connection of its own.

    callers.py REGISTRY RATE OUTCOMES

Begins once the registry lists somebody. A line of the file OUTCOMES for each call: its id, when it was due
and how long it took (microseconds since the start, by the time of the system), the instance, and what came
of it: ok, refused, or the error. Ends with its standard input.
"""

import os
import queue
import sys
import threading
import time

sys.path.insert(0, os.environ["OLDER_PROGRAMS"])
import old_client

registry, rate, path = sys.argv[1], float(sys.argv[2]), sys.argv[3]
target = old_client.Registry(registry)
outcomes = open(path, "w", encoding="utf-8")
ended = threading.Event()
due_calls = queue.Queue()


class Chosen:
    """One choice, which is noted."""

    def choose(self):
        self.host, self.port = target.choose()
        return self.host, self.port


def work():
    while (call := due_calls.get()) is not None:
        number, due = call
        chosen = Chosen()
        try:
            right = old_client.call(chosen, "run", [number], {}) == number
            became = "ok" if right else "wrong result"
        except ConnectionRefusedError:
            became = "refused"
        except (OSError, ValueError, KeyError) as error:
            became = f"{type(error).__name__} {error}"
        took = time.monotonic() - due
        peer = f"{chosen.host}:{chosen.port}" if hasattr(chosen, "port") else "-"
        outcomes.write(f"{number} {int((due - began) * 1e6)} {int(took * 1e6)} {peer} {became}\n")


workers = [threading.Thread(target=work) for _ in range(32)]
for worker in workers:
    worker.start()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
began = time.monotonic()
print("calling", flush=True)
number = 0
while not ended.is_set():
    due = began + number / rate
    if (ahead := due - time.monotonic()) > 0:
        time.sleep(ahead)
    due_calls.put((number, due))
    number += 1
for worker in workers:
    due_calls.put(None)
for worker in workers:
    worker.join()
outcomes.close()
