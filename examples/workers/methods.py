"""Serve it: rpcd serve -p 8089 -l 127.0.0.1 --worker 'python3 methods.py' --watch-files"""
import inspect, json, sys

def add(a: float, b: float = 1) -> float:
    "Adds two numbers."
    return a + b

METHODS, TYPES = {"add": add}, {float: "number", int: "integer", str: "string", bool: "boolean"}

def describe(name, function):
    typed = lambda name, of, **more: {"name": name, "schema": {"type": TYPES[of]} if of in TYPES else {}, **more}
    signature = inspect.signature(function)
    params = [typed(p.name, p.annotation, required=p.default is p.empty) for p in signature.parameters.values()]
    return {"name": name, "description": function.__doc__, "params": params, "result": typed("result", signature.return_annotation)}

for call in filter(lambda message: "method_name" in message, map(json.loads, sys.stdin)):
    try:
        listed = {"methods": [describe(*method) for method in METHODS.items()]}
        reply = {"res": listed if call["method_name"] == "rpc.discover" else METHODS[call["method_name"]](*call["method_args"], **call["method_kwargs"])}
    except Exception as error:
        reply = {"error": {"code": -32603, "message": repr(error)}}
    print(json.dumps({"id": call["id"], **reply}), flush=True)
