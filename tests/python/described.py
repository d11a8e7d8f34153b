"""A worker for tests (rpcd serve --worker 'python3 described.py FILE'): it lists the methods of the OpenRPC
document in FILE, and answers each call with its arguments."""
import json
import sys

with open(sys.argv[1]) as file:
    DOCUMENT = json.load(file)
for line in sys.stdin:
    call = json.loads(line)
    if call.get("method_name") == "rpc.discover":
        result = DOCUMENT
    elif "id" in call:
        result = [call["method_args"], call["method_kwargs"]]
    else:
        continue
    print(json.dumps({"id": call["id"], "res": result}), flush=True)
