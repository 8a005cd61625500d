/** Mutations of what a node in operation keeps to itself: its backups, its metrics, its log. */
import type { Mutation } from './mutations.ts';

const OWN = 'src/node/own-routes.ts';
const BACKUP = 'src/node/backup.ts';
const CONFIG = 'src/node/config.ts';
const CONFIG_TEST = 'src/node/config.test.ts';
const OBSERVATION = 'src/node/observation.ts';
const BACKUP_TEST = 'test/e2e/backup.test.ts';
const OBSERVATION_TEST = 'src/node/observation.test.ts';

export const OPERATION_MUTATIONS: readonly Mutation[] = [
  {
    rule: 'T10',
    file: CONFIG,
    find: '!isWithin(record, data)',
    replace: 'true',
    tests: [CONFIG_TEST],
  },
  {
    rule: 'T10',
    file: CONFIG,
    find: '!isWithin(engine.home, data)',
    replace: 'true',
    tests: [CONFIG_TEST],
  },
  {
    rule: 'T10',
    file: OWN,
    find: 'caller !== undefined && equal(caller, spki)',
    replace: 'caller !== undefined',
    tests: [BACKUP_TEST],
    pattern: 'only the node itself',
  },
  {
    rule: 'T10',
    file: BACKUP,
    find: "said['node'] === config.node",
    replace: 'true',
    tests: [BACKUP_TEST],
    pattern: 'an unfinished backup',
  },
  {
    rule: 'T10',
    file: BACKUP,
    find: '!(await isThere(directory))',
    replace: 'true',
    tests: [BACKUP_TEST],
    pattern: 'a backup of a running node',
  },
  {
    rule: 'T25',
    file: OBSERVATION,
    find: "check(isLocal(request) || parts.mayRead(request), 'NET_NOT_FOUND');",
    replace: '',
    tests: [OBSERVATION_TEST],
  },
  {
    rule: 'T25',
    file: OBSERVATION,
    find: "request.routeOptions.url ?? 'none'",
    replace: 'request.url',
    tests: [OBSERVATION_TEST],
  },
  {
    rule: 'T25',
    file: OBSERVATION,
    find: 'if (lines > MAX_LINES) return;',
    replace: '',
    tests: [OBSERVATION_TEST],
  },
];
