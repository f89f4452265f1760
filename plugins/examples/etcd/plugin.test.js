// What the plugin answers, asked by Node as the operator asks it through WebAssembly.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backup, descriptor, diagnose, probe } from "./plugin.js";

const request = (connection = {}, rest = {}) => ({
  connection: {
    host: "etcd.shop.svc", port: null, database: null,
    tls: { mode: "prefer", caFile: null, certificateFile: null, keyFile: null },
    ...connection,
  },
  bindings: [], server: null, settings: "{}", scratchDir: "/scratch",
  ...rest,
});
const argv = ({ argv }) => argv.map(({ pieces }) => pieces.map(({ val }) => val).join("")).join(" ");
const dump = (request) => backup.plan(request).parts[0].val.process;
const login = { bindings: ["username", "password"] };

test("credentials are in the environment only", () => {
  const { env } = dump(request({}, login));
  assert.deepEqual(env.map(({ name }) => name), ["ETCDCTL_API", "ETCDCTL_USER", "ETCDCTL_PASSWORD"]);
  assert.equal(dump(request()).env.length, 1);
});

test("every way to the server has its arguments", () => {
  const files = { caFile: "/ca", certificateFile: "/crt", keyFile: "/key" };
  const tail = "--command-timeout=30s snapshot save /scratch/etcd.snapshot";
  for (const [connection, expected] of [
    [{}, "http://etcd.shop.svc:2379"],
    [{ host: "2001:db8::1", port: 1 }, "http://[2001:db8::1]:1"],
    [{ tls: { mode: "require", ...files } },
      "https://etcd.shop.svc:2379 --insecure-skip-tls-verify --cert=/crt --key=/key"],
    [{ tls: { mode: "verify-full", ...files } }, "https://etcd.shop.svc:2379 --cacert=/ca --cert=/crt --key=/key"],
  ]) {
    assert.equal(argv(dump(request(connection))), `etcdctl --endpoints=${expected} ${tail}`);
  }
});

test("a server that does not answer is noticed before a snapshot waits for it", () => {
  const [check] = backup.plan(request()).checks;
  assert.deepEqual([check.reason, check.expectation], ["ServerNotReachable", { tag: "exit-zero" }]);
  assert.equal(argv(check.process), "etcdctl --endpoints=http://etcd.shop.svc:2379 --command-timeout=30s endpoint status");
});

test("the scratch folder follows the setting, then the server", () => {
  const server = { version: "3.6.5", facts: [{ key: "db-size-mebibytes", value: "100" }] };
  const size = (rest) => backup.plan(request({}, rest)).scratchMebibytes;
  assert.deepEqual([size({}), size({ server }), size({ server, settings: '{"scratchMebibytes": 99}' })], [2304, 214, 99]);
});

test("what cannot be done is refused at its place", () => {
  for (const [wrong, path] of [
    [{ ...request(), connection: null }, "/connection"],
    [request({ host: "a/b?c" }), "/connection/host"],
    [request({ database: "x" }), "/connection/database"],
    [request({}, { bindings: ["username"] }), "/connection/credentials"],
    [request({}, { settings: '{"scratchMebibytes": "1"}' }), "/settings/scratchMebibytes"],
    [request({}, { settings: "" }), "/settings"],
    [request({}, { settings: "[]" }), "/settings"],
  ]) {
    assert.deepEqual(backup.check(wrong).map((issue) => issue.path), [path]);
    assert.throws(() => backup.plan(wrong), ({ issues }) => issues[0].path === path);
  }
});

test("answers of a probe become findings", () => {
  const answer = (name, exitCode, stdout, stderr) => ({ name, exitCode, stdout, stderr, truncated: false });
  const status = answer("status", 0, '[{"Status": {"version": "3.6.5", "dbSize": 3145729}}]', "");
  const good = probe.read(request(), [status, answer("grants", 0, "root\n", "")]);
  assert.deepEqual([good.server.version, good.sizeMebibytes, good.problems], ["3.6.5", 4, []]);
  const weak = probe.read(request(), [status, answer("grants", 1, "", "Error: etcdserver: permission denied")]);
  assert.deepEqual([weak.problems[0].reason, weak.problems[0].blocking], ["GrantMissing", true]);
  const gone = probe.read(request(), [answer("status", 1, "", "context deadline exceeded"), answer("grants", 1, "", "")]);
  assert.deepEqual([gone.server, gone.problems[0].reason, gone.problems[0].blocking], [null, "ServerNotReachable", false]);
});

test("failures are explained in the words that etcdctl prints", () => {
  const reason = (stderr) => diagnose.explain({ stderr })?.reason;
  assert.equal(reason("Error: etcdserver: authentication failed, invalid user ID or password"), "PasswordRejected");
  assert.equal(reason("Error: rpc error: code = Unknown desc = auth: permission denied"), "GrantMissing");
  assert.equal(reason("something else"), undefined);
});

test("the schema is one", () => {
  assert.equal(JSON.parse(descriptor.describe().settingsSchema).type, "object");
});
