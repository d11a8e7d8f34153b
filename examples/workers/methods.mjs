// Serve it: rpcd serve -p 8089 -l 127.0.0.1 --worker 'node methods.mjs' --watch-files
import { createInterface } from "node:readline";

const number = { type: "number" };
const METHODS = {
  add: (a, b) => a + b,
  later: async (seconds) => (await new Promise((done) => setTimeout(done, seconds * 1000)), "done"),
};
const LISTED = [
  { name: "add", summary: "Adds two numbers.", params: [{ name: "a", schema: number, required: true }, { name: "b", schema: { ...number, default: 1 } }], result: { name: "sum", schema: number }, "x-read-only": true },
  { name: "later", summary: "Waits.", params: [{ name: "seconds", schema: number, required: true }], "x-idempotent": true },
];

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, method_name: name, method_args: args } = JSON.parse(line);
  const result = async () => (name === "rpc.discover" ? { methods: LISTED } : await METHODS[name](...args));
  const reply = name && (await result().then((res) => ({ res }), (error) => ({ error: { code: -32603, message: String(error) } })));
  if (reply) console.log(JSON.stringify({ id, ...reply }));
});
