"""Calls rpcd with JSON-RPC clients from PyPI: json_rpc.py CLIENT HOST PORT. Each call that is not as it
should be is an AssertionError."""

import asyncio
import json
import socket
import sys


def aiorpcx(host, port):
    """Raw TCP, one message per line."""
    import aiorpcx

    async def run():
        async with aiorpcx.connect_rs(host, port) as session:
            assert await session.send_request("add", [1, 2]) == 13
            assert await session.send_request("add", {"a": 1, "b": 2, "c": 3}) == 6
            await session.send_notification("add", [1, 2])
            async with session.send_batch() as batch:
                batch.add_request("add", [1, 1, 1])
                batch.add_notification("add", [1, 2])
                batch.add_request("divide", [1, 2])
            assert batch.results == (3, 0.5), batch.results
            for method, args, code in [("nope", [], -32601), ("add", [1], -32602)]:
                try:
                    await session.send_request(method, args)
                    raise AssertionError(f"{method} has a result")
                except aiorpcx.RPCError as error:
                    assert error.code == code, error

    asyncio.run(run())


def pelix(host, port):
    """HTTP."""
    import jsonrpclib

    server = jsonrpclib.ServerProxy(f"http://{host}:{port}/rpc")
    assert server.add(1, 2) == 13
    assert server.add(a=1, b=2, c=3) == 6
    batch = jsonrpclib.MultiCall(server)
    batch.add(1, 1, 1)
    batch.divide(1, 2)
    assert sorted(batch()) == [0.5, 3]
    for call, code in [(lambda: server.nope(), -32601), (lambda: server.add(1), -32602)]:
        try:
            call()
            raise AssertionError("it has a result")
        except jsonrpclib.ProtocolError as error:
            assert error.args[0][0] == code, error.args
    try:
        assert server._notify.add(1, 2) is None
    except jsonrpclib.jsonrpc.TransportError as error:
        # It wants 200, also where there is nothing to say; the call was made.
        assert error.args[1] == 204, error.args


def pjrpc(host, port):
    """HTTP."""
    import pjrpc
    from pjrpc.client.backend import requests

    with requests.Client(f"http://{host}:{port}/rpc") as client:
        assert client.call("add", 1, 2) == 13
        assert client.proxy.add(a=1, b=2, c=3) == 6
        client.notify("add", 1, 2)
        with client.batch() as batch:
            batch("add", 1, 1, 1)
            batch.notify("add", 1, 2)
            batch("divide", 1, 2)
        assert sorted(batch.get_results()) == [0.5, 3]
        for method, args, code in [("nope", [], -32601), ("add", [1], -32602)]:
            try:
                client.call(method, *args)
                raise AssertionError(f"{method} has a result")
            except pjrpc.client.exceptions.JsonRpcError as error:
                assert error.code == code, error


def jsonrpcclient(host, port):
    """Requests and replies as text, over a socket."""
    from jsonrpcclient import Error, Ok, notification, parse, request

    with socket.create_connection((host, port)) as stream, stream.makefile("r") as lines:

        def ask(message):
            stream.sendall(json.dumps(message).encode())
            return parse(json.loads(lines.readline()))

        assert ask(request("add", params=[1, 2])) == Ok(13, 1)
        assert ask(request("add", params={"a": 1, "b": 2, "c": 3})).result == 6
        stream.sendall(json.dumps(notification("add", params=[1, 2])).encode())
        replies = ask([request("add", params=[1, 1, 1]), request("divide", params=[1, 2])])
        assert sorted(reply.result for reply in replies) == [0.5, 3]
        for method, args, code in [("nope", [], -32601), ("add", [1], -32602)]:
            error = ask(request(method, params=args))
            assert isinstance(error, Error) and error.code == code, error


def openapi(host, port):
    """The document that describes calls over HTTP."""
    import requests
    from openapi_spec_validator import validate

    document = requests.get(f"http://{host}:{port}/openapi.json", timeout=10).json()
    assert document["openapi"].startswith("3.1") and len(document["paths"]) > 10
    validate(document)


client, host, port = sys.argv[1:]
{f.__name__: f for f in [aiorpcx, pelix, pjrpc, jsonrpcclient, openapi]}[client](host, int(port))
