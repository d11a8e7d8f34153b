// Calls rpcd with JSON-RPC clients from npm: json_rpc.mjs CLIENT HOST PORT.
import assert from "node:assert/strict";
import { promisify } from "node:util";

const clients = {
  // Raw TCP, without framing.
  "jayson-tcp": async (host, port) => jayson((await import("jayson")).default.Client.tcp({ host, port })),
  "jayson-http": async (host, port) =>
    jayson((await import("jayson")).default.Client.http({ host, port, path: "/rpc" })),

  "json-rpc-2.0": async (host, port) => {
    const { JSONRPCClient } = await import("json-rpc-2.0");
    const client = new JSONRPCClient(async (request) => {
      const response = await fetch(`http://${host}:${port}/rpc`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(request),
      });
      assert(response.ok);
      if (response.status === 200) client.receive(await response.json());
    });
    assert.equal(await client.request("add", [1, 2]), 13);
    assert.equal(await client.request("add", { a: 1, b: 2, c: 3 }), 6);
    client.notify("add", [1, 2]);
    await assert.rejects(client.request("nope", []), { code: -32601 });
    await assert.rejects(client.request("add", [1]), { code: -32602 });
  },

  // The document that describes the methods: valid, and all that it refers to is there.
  "schema-utils-js": async (host, port) => {
    const { parseOpenRPCDocument } = (await import("@open-rpc/schema-utils-js")).default;
    const document = await (await fetch(`http://${host}:${port}/openrpc.json`)).json();
    const { methods } = await parseOpenRPCDocument(document);
    assert(methods.length > 10);
  },
};

async function jayson(client) {
  const request = promisify(client.request.bind(client));
  assert.equal((await request("add", [1, 2])).result, 13);
  assert.equal((await request("add", { a: 1, b: 2, c: 3 })).result, 6);
  await request("add", [1, 2], null); // A notification.
  assert.equal((await request("nope", [])).error.code, -32601);
  assert.equal((await request("add", [1])).error.code, -32602);
  const one = (id) => client.request("add", [id, 1, 1], id, false);
  const replies = await request([one(1), one(2)]);
  assert.deepEqual(replies.map((reply) => reply.result).sort(), [3, 4]);
}

const [client, host, port] = process.argv.slice(2);
await clients[client](host, Number(port));
process.exit(0); // Connections that are kept do not keep this open.
