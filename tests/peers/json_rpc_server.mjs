// A JSON-RPC server made with jayson from npm: json_rpc_server.mjs [discover]. Prints the ports of TCP and HTTP.
import jayson from "jayson";

const number = { type: "number" };
const two = ["a", "b"].map((name) => ({ name, required: true, schema: number }));
const described = {
  openrpc: "1.3.2",
  info: { title: "jayson", version: "1" },
  methods: [
    { name: "add", summary: "Adds two numbers.", result: { name: "sum", schema: number }, params: two },
    { name: "fail", params: [] },
    { name: "by_position", paramStructure: "by-position", params: two },
  ],
};
const notes = [];
const methods = {
  note: (params, done) => done(null, notes.push(params)),
  notes: (params, done) => done(null, notes),
  add: (params, done) => {
    const [a, b] = Array.isArray(params) ? params : [params.a, params.b];
    if (typeof a !== "number" || typeof b !== "number") return done({ code: -32602, message: "Two numbers" });
    done(null, a + b);
  },
  by_position: (params, done) =>
    Array.isArray(params) ? done(null, ["by position", ...params]) : done({ code: -32602, message: "No names" }),
  fail: (params, done) => done({ code: 17, message: "It failed", data: { why: "asked" } }),
  wait: ([ms], done) => setTimeout(done, ms, null, ms),
};
// It takes no methods of this prefix, but a router may have them.
const discover = new jayson.Method((params, done) => done(null, described));
const router = function (name) {
  return name === "rpc.discover" && process.argv[2] === "discover" ? discover : this.getMethod(name);
};

const server = new jayson.Server(methods, { router });
for (const open of [server.tcp(), server.http()]) {
  await new Promise((listening) => open.listen(0, "127.0.0.1", listening));
  console.log(open.address().port);
}
