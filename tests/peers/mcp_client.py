"""Speaks with `rpcd mcp` by PyPI's client: mcp_client.py MODE TARGET…

MODE is auto, legacy or a version; TARGET is a URL, or a command with its arguments.
"""

import asyncio
import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(mode: str, target: list[str]) -> None:
    if target[0].startswith("http"):
        server = target[0]
    else:
        server = stdio_client(StdioServerParameters(command=target[0], args=target[1:]))
    async with Client(server, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "add" in tools and "sleep" not in tools, sorted(tools)
        assert tools["add"].annotations.read_only_hint is True
        result = await client.call_tool("add", {"a": 1, "b": 2})
        assert not result.is_error, result
        assert result.content[0].text == "13", result
        expected = {"result": 13} if mode == "legacy" else 13
        assert result.structured_content == expected, result
        wrong = await client.call_tool("add", {"a": 1})
        assert wrong.is_error and "missing" in wrong.content[0].text, wrong
        try:
            await client.call_tool("nothing", {})
        except Exception as error:
            assert "Unknown tool" in str(error), error
        else:
            raise AssertionError("an unknown tool was called")
    print("ok")


asyncio.run(main(sys.argv[1], sys.argv[2:]))
