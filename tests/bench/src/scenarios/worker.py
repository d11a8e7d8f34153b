"""The worker of the benchmark: one method, and nothing that it could do without."""
import json, sys

LIST = {"methods": [{"name": "plus", "params": [{"name": "a"}, {"name": "b"}]}]}
for line in sys.stdin:
    call = json.loads(line)
    name = call.get("method_name")
    if name:
        res = sum(call["method_args"]) if name == "plus" else LIST
        sys.stdout.write(json.dumps({"id": call["id"], "res": res}) + "\n")
        sys.stdout.flush()
