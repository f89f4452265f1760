// A plan with a value in every place of contract 0.1.
const text = (val) => ({ tag: "text", val });
const item = { tag: "item" };
const argument = (...pieces) => ({ pieces: pieces.map(text) });
const process = (...argv) => ({ argv: argv.map((word) => argument(word)), env: [], files: [] });
const secret = (tag, val) => ({ tag: "secret", val: { binding: "password", encoding: { tag, val } } });
const issue = (path, reason, message) => ({ path, reason, message });
const check = (name, tag, val) => ({
  name, process: process("check", name), expectation: { tag, val }, reason: "GrantMissing", message: "grant it",
});

export const descriptor = {
  describe: () => ({
    id: "museum.example.com",
    version: "0.1.0",
    summary: "An exhibit",
    databaseTypes: ["museum"],
    defaultPort: 4711,
    bindings: [{ name: "password", required: true, summary: "a secret" }],
    images: [{ name: "client", reference: "docker.io/library/client:1", serverVersions: ">=9, <19" }],
    settingsSchema: '{"type":"object","properties":{"jobs":{"type":"integer","description":"How many."}}}',
    labels: [{ key: "made", value: "2026" }],
  }),
};

export const backup = {
  check: () => [issue("/settings/jobs", "TooMany", "ask for fewer")],
  plan({ connection, server, settings, scratchDir }) {
    if (!connection) throw { issues: [issue("/connection", "ConnectionMissing", "say where it is")] };
    const dump = process("dump", connection.database, settings, server.version, scratchDir, connection.tls.caFile);
    dump.argv.push(argument("--host=", connection.host));
    dump.env = [
      { name: "RAW", value: [text("p:"), secret("raw")] },
      { name: "PERCENT", value: [secret("percent")] },
      { name: "BASE64", value: [secret("base64")] },
      { name: "JSON", value: [secret("json-string")] },
    ];
    const escape = { substitutions: [{ character: "\u{e9}", replacement: "e'" }], refuse: "\n", max: 64 };
    dump.files = [{ name: "client.cnf", content: [text("password="), secret("escaped", escape)] }];
    const one = {
      name: "one",
      extension: "dump",
      mediaType: "application/octet-stream",
      process: dump,
      output: { tag: "file", val: "out/dump" },
      completion: {
        exitCodes: [0, 3],
        header: new Uint8Array([255, 0]),
        tail: { bytes: new Uint8Array([101, 110, 100]), within: 64 },
        verifier: process("verify"),
        stderrRequired: "done",
        minimumBytes: 2,
      },
      restoreCommand: 'restore -d "$TARGET_DATABASE"',
    };
    const each = process("dump", "--");
    each.argv.push({ pieces: [item] });
    each.env = [{ name: "ITEM", value: [item] }];
    const many = {
      items: process("list"),
      separator: "backslash-newline",
      each: {
        name: "many",
        extension: "tar",
        mediaType: "application/x-tar",
        process: each,
        output: { tag: "directory", val: "all" },
        completion: {
          exitCodes: [0], header: null, tail: null, verifier: null, stderrRequired: null, minimumBytes: 1,
        },
        restoreCommand: null,
      },
    };
    return {
      image: "client",
      checks: [check("zero", "exit-zero"), check("equal", "stdout-equals", "1"), check("least", "stdout-at-least", 2)],
      parts: [{ tag: "one", val: one }, { tag: "per-item", val: many }],
      scratchMebibytes: 64,
    };
  },
};

export const probe = {
  plan: () => ({
    image: "client",
    queries: ["version", "size"].map((name) => ({ name, process: process("ask", name) })),
  }),
  read: (_request, answers) => ({
    server: { version: answers[0].stdout.trim(), facts: [] },
    sizeMebibytes: 7,
    problems: [
      { reason: "GrantMissing", message: answers[1].stderr, hint: "grant it", blocking: answers[0].truncated },
    ],
  }),
};

export const diagnose = {
  explain: ({ stderr, part, signal }) => ({ reason: "Killed", message: stderr, hint: part, retryable: signal === 9 }),
};
