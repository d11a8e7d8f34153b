"""The older server with the method `run` of a ledger: the id of each call is appended to a file."""

import os
import sys

sys.path.insert(0, os.environ["OLDER_PROGRAMS"])
import old_server

ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def run(id):
    os.write(ledger, id.to_bytes(8, "little"))
    return id


old_server.METHODS["run"] = run
old_server.main()
