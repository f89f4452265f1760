// etcd for db-backup-operator: `etcdctl snapshot save`.
//
// What WIT calls a record is an object here, with its names in camelCase; a variant is {tag, val}; none is null; and a
// refusal is thrown.

const DEFAULT_PORT = 2379;
// Size of the scratch folder while nobody knows better: etcd's own limit is 2 GiB unless it was raised.
const USUAL_MEBIBYTES = 2304;

// Two pages of bbolt's metadata come first: page 0, its kind, and bbolt's magic and version.
const HEADER = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0]);

// The reader of the manifest has nothing else at hand.
const RESTORE =
  '{ cat > etcd.snapshot && etcdutl snapshot restore etcd.snapshot --data-dir "$TARGET_DIRECTORY"; } ' +
  "# TARGET_DIRECTORY: a folder that does not exist yet; start etcd with it as --data-dir. For a cluster, run etcdutl " +
  "once for each member, with --name, --initial-cluster and --initial-advertise-peer-urls";

const SETTINGS = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Settings of the etcd plugin",
  type: "object",
  additionalProperties: false,
  properties: {
    scratchMebibytes: {
      description:
        "Room for the snapshot on the node's disk, in MiB. Unset: half as much again as etcd said when it was asked, " +
        `or ${USUAL_MEBIBYTES} before.`,
      type: "integer",
      minimum: 16,
      maximum: 16384,
      examples: [8192],
    },
  },
};

const text = (text) => ({ tag: "text", val: text });
const secret = (binding) => ({ tag: "secret", val: { binding, encoding: { tag: "raw" } } });
const argument = (word) => ({ pieces: [text(word)] });
const issue = (path, reason, message) => ({ path, reason, message });

// Everything in a request that etcdctl cannot do.
function faults({ connection, bindings, settings }) {
  if (!connection) {
    return [issue("/connection", "ConnectionMissing", "missing; say at least in connection.host where the server is")];
  }
  const found = [];
  // It becomes a part of a URL.
  if (!/^[A-Za-z0-9._:-]+$/.test(connection.host) || connection.host.startsWith("-")) {
    found.push(issue("/connection/host", "ConnectionInvalid", "no name of a host; write one, or an address"));
  }
  if (connection.database !== null) {
    const message = "a snapshot holds every key of etcd; leave the database out";
    found.push(issue("/connection/database", "DatabaseNotSupported", message));
  }
  if (bindings.includes("username") !== bindings.includes("password")) {
    const message = "username and password belong together: map both in spec.connection.credentials.keys, or none";
    found.push(issue("/connection/credentials", "CredentialsMissing", message));
  }
  const { scratchMebibytes } = settings;
  if (scratchMebibytes !== undefined && !(Number.isInteger(scratchMebibytes) && scratchMebibytes >= 16)) {
    found.push(issue("/settings/scratchMebibytes", "SettingInvalid", "a whole number, at least 16"));
  }
  return found;
}

// A request whose settings are read, or a refusal.
function accepted(request) {
  let settings;
  try {
    settings = JSON.parse(request.settings);
  } catch {
    throw { issues: [issue("/settings", "SettingInvalid", "no JSON; write what the settings schema allows")] };
  }
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw { issues: [issue("/settings", "SettingInvalid", "no object; write what the settings schema allows")] };
  }
  const read = { ...request, settings };
  const issues = faults(read);
  if (issues.length > 0) throw { issues };
  return read;
}

// A process of etcdctl. The credentials are in the environment, where no list of processes shows them.
function etcdctl({ connection, bindings }, ...command) {
  const { host, port, tls } = connection;
  // A port of etcd speaks TLS or does not, so that `prefer` has nothing to try.
  const encrypted = tls.mode !== "disable" && tls.mode !== "prefer";
  const address = host.includes(":") ? `[${host}]` : host;
  const argv = ["etcdctl", `--endpoints=${encrypted ? "https" : "http"}://${address}:${port ?? DEFAULT_PORT}`];
  if (encrypted) {
    // Go knows no verification without the host's name: verify-ca is as strict as verify-full.
    if (tls.mode === "require") argv.push("--insecure-skip-tls-verify");
    else if (tls.caFile !== null) argv.push(`--cacert=${tls.caFile}`);
    if (tls.certificateFile !== null) argv.push(`--cert=${tls.certificateFile}`);
    if (tls.keyFile !== null) argv.push(`--key=${tls.keyFile}`);
  }
  const env = [{ name: "ETCDCTL_API", value: [text("3")] }];
  if (bindings.includes("username")) {
    env.push({ name: "ETCDCTL_USER", value: [secret("username")] });
    env.push({ name: "ETCDCTL_PASSWORD", value: [secret("password")] });
  }
  return { argv: [...argv, "--command-timeout=30s", ...command].map(argument), env, files: [] };
}

// What a probe found, a little more than that, or the usual size.
function scratchMebibytes({ settings, server }) {
  if (settings.scratchMebibytes !== undefined) return settings.scratchMebibytes;
  const size = Number(server?.facts.find(({ key }) => key === "db-size-mebibytes")?.value);
  return size > 0 ? Math.ceil(size * 1.5) + 64 : USUAL_MEBIBYTES;
}

function snapshot(wanted) {
  return {
    name: "snapshot",
    extension: "db",
    mediaType: "application/octet-stream",
    // etcdctl writes to a file only; it renames it when the snapshot is whole.
    process: etcdctl(wanted, "snapshot", "save", `${wanted.scratchDir}/etcd.snapshot`),
    output: { tag: "file", val: "etcd.snapshot" },
    completion: {
      exitCodes: [0],
      header: HEADER,
      tail: null,
      verifier: null,
      stderrRequired: '"msg":"saved"',
      // Four pages and the checksum, which `etcdutl snapshot restore` compares.
      minimumBytes: 4 * 4096 + 32,
    },
    restoreCommand: RESTORE,
  };
}

function plan(request) {
  const wanted = accepted(request);
  return {
    image: "etcd",
    checks: [
      {
        name: "reachable",
        // Without a server `snapshot save` waits for ever.
        process: etcdctl(wanted, "endpoint", "status"),
        expectation: { tag: "exit-zero" },
        reason: "ServerNotReachable",
        message: "etcd does not answer at this host and port within 30 seconds: look at spec.connection",
      },
    ],
    parts: [{ tag: "one", val: snapshot(wanted) }],
    scratchMebibytes: scratchMebibytes(wanted),
  };
}

// By what stands on standard error; the first one that fits counts.
const KNOWN = [
  ["authentication failed", "PasswordRejected", "etcd does not accept the user's name or password.",
    "Look at the Secret of spec.connection.credentials.", false],
  ["user name is empty", "PasswordMissing", "etcd wants a user and a password, and none were given.",
    "Map `username` and `password` in spec.connection.credentials.keys.", false],
  ["permission denied", "GrantMissing", "The user may not take a snapshot.",
    "Give it the role `root`: etcdctl user grant-role USER root", false],
  ["certificate signed by unknown authority", "CertificateNotTrusted",
    "The server's certificate is signed by none of the authorities that are trusted.",
    "Name the right authority in spec.connection.tls.caSecret.", false],
  ["certificate is valid for", "CertificateOfAnotherHost", "The server's certificate is for another name.",
    "Write a host in spec.connection.host that the certificate names.", false],
  ["no space left on device", "ScratchTooSmall", "The snapshot does not fit into the scratch folder.",
    "Raise settings.scratchMebibytes.", false],
  ["no such host", "HostNotFound", "There is no host of this name.", "Look at spec.connection.host.", false],
  ["deadline exceeded", "ServerNotReachable", "etcd does not answer at this host and port.",
    "Look at spec.connection, above all at tls.mode, and whether a network policy is in the way.", true],
];

function known(stderr) {
  const found = KNOWN.find(([words]) => stderr.includes(words));
  if (!found) return null;
  const [, reason, message, hint, retryable] = found;
  return { reason, message, hint, retryable };
}

// `endpoint status` of one endpoint, as etcdctl prints it.
function status(stdout) {
  try {
    return JSON.parse(stdout)[0].Status;
  } catch {
    return null;
  }
}

function read(_request, answers) {
  const failed = answers.find(({ exitCode }) => exitCode !== 0);
  const problems = [];
  if (failed) {
    const otherwise = { reason: "ServerNotAsked", message: "etcd could not be asked.", hint: "", retryable: true };
    const { reason, message, hint, retryable } = known(failed.stderr) ?? otherwise;
    problems.push({ reason, message, hint, blocking: !retryable });
  }
  const found = status(answers.find(({ name }) => name === "status")?.stdout);
  if (!found) return { server: null, sizeMebibytes: null, problems };
  const mebibytes = Math.ceil(found.dbSize / 2 ** 20);
  const facts = [{ key: "db-size-mebibytes", value: String(mebibytes) }];
  return { server: { version: found.version, facts }, sizeMebibytes: mebibytes, problems };
}

export const descriptor = {
  describe: () => ({
    id: "etcd.example.com",
    version: "1.0.0",
    summary: "etcd by etcdctl snapshot save",
    databaseTypes: ["etcd"],
    defaultPort: DEFAULT_PORT,
    bindings: [
      { name: "username", required: false, summary: "user with the role root, where etcd has users" },
      { name: "password", required: false, summary: "the user's password" },
    ],
    images: [{ name: "etcd", reference: "registry.k8s.io/etcd:3.6.5-0", serverVersions: ">=3.4, <4" }],
    settingsSchema: JSON.stringify(SETTINGS),
    labels: [],
  }),
};

export const backup = {
  check(request) {
    try {
      accepted(request);
      return [];
    } catch (refusal) {
      if (refusal.issues) return refusal.issues;
      throw refusal;
    }
  },
  plan,
};

export const probe = {
  plan(request) {
    const wanted = accepted(request);
    const queries = [
      { name: "status", process: etcdctl(wanted, "endpoint", "status", "--write-out=json") },
      // Stands for the snapshot: both need the role `root`.
      { name: "grants", process: etcdctl(wanted, "user", "list") },
    ];
    return { image: "etcd", queries };
  },
  read,
};

export const diagnose = { explain: ({ stderr }) => known(stderr) };
