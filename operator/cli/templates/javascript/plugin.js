// Plugin: __name__. It says how a backup is made; the operator runs it. The contract is in wit/deps/db-backup-plugin,
// with every field explained. Fields are written in camelCase here, a variant as { tag, val }; what is
// none is null.
import { schema } from './settings.js';

const PORT = 5000;
const NUL = String.fromCharCode(0);

export const descriptor = {
  describe() {
    return {
      id: '__name__.example.com',
      version: '0.1.0',
      summary: '__name__ by __name__-dump',
      databaseTypes: ['__name__'],
      defaultPort: PORT,
      bindings: [
        { name: 'username', required: true, summary: 'user that may read everything' },
        { name: 'password', required: true, summary: 'its password' },
      ],
      images: [{ name: '1', reference: 'docker.io/library/__name__:1' }],
      settingsSchema: JSON.stringify(schema),
      labels: [],
    };
  },
};

export const backup = {
  /** Everything that is wrong with the request. */
  check: (request) => issuesOf(request),

  /** The plan. A refusal is thrown. */
  plan(request) {
    const issues = issuesOf(request);
    if (issues.length > 0) {
      throw { issues };
    }
    return {
      image: '1',
      checks: [],
      parts: [{ tag: 'one', val: part(request) }],
      scratchMebibytes: null,
    };
  },
};

function issuesOf(request) {
  const issues = [];
  const { connection } = request;
  const { tables } = JSON.parse(request.settings);
  if (connection === null) {
    issues.push(issue('/connection', 'ConnectionMissing', 'say where the server is'));
  }
  // No process can be given a NUL character.
  const texts = [['/connection/host', connection?.host], ['/connection/database', connection?.database]];
  tables.forEach((table, at) => texts.push([`/settings/tables/${at}`, table]));
  for (const [path, text] of texts) {
    if (text?.includes(NUL)) {
      issues.push(issue(path, 'SettingInvalid', 'must not contain a NUL character'));
    }
  }
  return issues;
}

/** The one object that a backup leaves in storage, and how to know that it is whole. */
function part(request) {
  return {
    name: 'database',
    extension: 'dump',
    mediaType: 'application/octet-stream',
    process: dump(request),
    output: { tag: 'stdout' },
    completion: {
      exitCodes: [0],
      // Exit code 0 proves little: name the bytes with which every good dump begins (header) or ends (tail), or a
      // program that reads the dump and fails when it is not whole (verifier).
      header: null,
      tail: null,
      verifier: null,
      stderrRequired: null,
      minimumBytes: 1,
    },
    restoreCommand: '__name__-restore --database "$TARGET"',
  };
}

/** There is no shell: each of the user's strings is one whole argument, or stands behind `--option=`. */
function dump({ connection, settings }) {
  const { tables, jobs } = JSON.parse(settings);
  const words = [
    '__name__-dump',
    `--host=${connection.host}`,
    `--port=${connection.port ?? PORT}`,
    `--jobs=${jobs}`,
    ...tables.map((table) => `--table=${table}`),
  ];
  if (connection.database !== null) {
    words.push('--', connection.database);
  }
  return {
    argv: words.map((word) => ({ pieces: [{ tag: 'text', val: word }] })),
    // A secret is a name: the operator fills it in inside the pod.
    env: [secret('DB_USER', 'username'), secret('DB_PASSWORD', 'password')],
    files: [],
  };
}

function secret(name, binding) {
  return { name, value: [{ tag: 'secret', val: { binding, encoding: { tag: 'raw' } } }] };
}

function issue(path, reason, message) {
  return { path, reason, message };
}
