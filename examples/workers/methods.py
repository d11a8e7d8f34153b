"""Serve it: rpcd serve -p 8090 -l 127.0.0.1 --worker 'python3 methods.py' --watch-files"""
import inspect, json, sys

def discount(price: float, percent: float = 10) -> float:
    "The price less so many percent of it."
    return price * (1 - percent / 100)

METHODS, TYPES = {"discount": discount}, {float: "number", int: "integer", str: "string", bool: "boolean"}
typed = lambda of, default: ({"type": TYPES[of]} if of in TYPES else {}) | ({} if default is inspect._empty else {"default": default})
param = lambda it: {"name": it.name, "required": it.default is it.empty, "schema": typed(it.annotation, it.default)}
described = lambda it: {"params": [*map(param, it.parameters.values())], "result": {"name": "result", "schema": typed(it.return_annotation, it.empty)}}
listed = [{"name": name, "description": method.__doc__} | described(inspect.signature(method)) for name, method in METHODS.items()]

for call in filter(lambda message: "method_name" in message, map(json.loads, sys.stdin)):
    try:
        method = METHODS.get(call["method_name"], lambda: {"methods": listed})
        reply = {"res": method(*call["method_args"], **call["method_kwargs"])}
    except Exception as error:
        reply = {"error": {"code": -32603, "message": repr(error)}}
    print(json.dumps({"id": call["id"]} | reply), flush=True)
