/** Mutations of what batches of reports rest on (T25). */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const BATCHES = 'test/attacks/T25-batches.test.ts';
const RULE = 'src/registry/rules/report-batch.test.ts';
const NODE = 'src/node/report-batches.test.ts';
const KEPT = 'src/gateway/report-keeping.test.ts';

export const BATCH_MUTATIONS: readonly Mutation[] = [
  ...mutations('T25', 'src/gateway/config-lines.ts', 'src/gateway/config.test.ts', [
    ["key.curve === 'P-256'", 'true'],
  ]),
  ...mutations('T25', 'src/registry/rules/report-batch.ts', RULE, [
    ["check(statement.subject === statement.network, 'STATEMENT_SUBJECT');", ''],
    ['parsePayload(statement, [1], (get)', 'parsePayload(statement, [1, 2], (get)'],
    ["asBytes(get(1), 'root', HASH_LENGTH)", "asBytes(get(1), 'root')"],
    ["check(last === undefined || time >= last + BATCH_INTERVAL, 'BATCH_TOO_SOON');", ''],
    ['setBatchTime(view, node, time);', ''],
  ]),
  ...mutations('T25', 'src/registry/state.ts', RULE, [
    [
      'setNode(view, node, counter, getBatchTime(view, node));',
      'setNode(view, node, counter, undefined);',
    ],
  ]),
  ...mutations('T25', 'src/log/padded-tree.ts', BATCHES, [
    ['filled.length < MIN_LEAVES || ', ''],
    [
      'while (filled.length < MIN_LEAVES || !isPower(filled.length))',
      'while (filled.length < MIN_LEAVES)',
    ],
    ['(!before || compare(before, leaf) < 0)', 'true'],
  ]),
  ...mutations('T25', 'src/reports/batch.ts', BATCHES, [
    ['encode([random(SALT_BYTES), TYPE,', 'encode([new Uint8Array(SALT_BYTES), TYPE,'],
    [
      "check(equal(rootOfLeaves(leaves), root), 'BATCH_ROOT_MISMATCH', 'the leaves have another root');",
      '',
    ],
    ['known.delete(hex(recordLeaf(bytes)))', 'known.has(hex(recordLeaf(bytes)))'],
    ['for (const bytes of [header, ...records])', 'for (const bytes of records)'],
    ['equal(said.networkId, networkId)', 'true'],
    ['records.length <= said.count', 'true'],
    ['while (size < body.length + LENGTH_BYTES) size *= 2;', 'size = body.length + LENGTH_BYTES;'],
  ]),
  ...mutations('T25', 'src/reports/sealing.ts', BATCHES, [
    [
      "concat(utf8('firmament/reports/v1'), networkId, root)",
      "concat(utf8('firmament/reports/v1'), networkId, root.subarray(32))",
    ],
    [
      "concat(utf8('firmament/reports/v1'), networkId, root)",
      "concat(utf8('firmament/reports/v1'), networkId.subarray(32), root)",
    ],
  ]),
  ...mutations('T25', 'src/reports/record.ts', BATCHES, [
    ['equal(named, keyId)', 'true'],
    ['network === hex(networkId)', 'true'],
    ['report.nonce !== undefined && equal(report.nonce, nonce)', 'true'],
    ['equal(digest, release)', 'true'],
    ['parseLineText(line);', ''],
  ]),
  ...mutations('T25', 'src/reports/tally.ts', BATCHES, [
    ["check(!this.#attempts.has(attempt), 'BATCH_RECORD_REPEATED');", ''],
  ]),
  ...mutations('T25', 'src/reports/ledger-proof.ts', BATCHES, [
    ["statement.kind === 'report.batch'", 'true'],
    ['statement.network === hex(root.networkId)', 'true'],
    ['verifyInclusion({ leafHash: leafHash(batch), index, size, path, root: above });', ''],
    ['found.issuer === originOf(root.networkId)', 'true'],
    ['found.index === proof.logIndex', 'true'],
  ]),
  ...mutations('T25', 'src/author/reports.ts', BATCHES, [
    ["check(equal(batch.author, author), 'BATCH_FOREIGN');", ''],
  ]),
  ...mutations('T25', 'src/api/report-request.ts', BATCHES, [
    ['equal(request.networkId, here.networkId)', 'true'],
    ['request.node === here.node', 'true'],
    ['Math.abs(request.time - here.now) <= REQUEST_SKEW', 'true'],
    ['verifySign1(message, key);', ''],
  ]),
  ...mutations('T25', 'src/node/report-batches.ts', NODE, [
    ["check(Number(row?.['n'] ?? 0) < waiting, 'NODE_OVERLOADED', 'too many roots wait');", ''],
    ['WHERE above > ? OR place > ?', 'WHERE above > ? AND place > ?'],
    ["database.prepare('DELETE FROM sealed_batch WHERE received < ?').run(now - age);", ''],
    ['if (known) return;', ''],
  ]),
  ...mutations('T25', 'src/node/batching.ts', NODE, [
    ['now < since + gather || ', ''],
    [' || now < last + BATCH_INTERVAL', ''],
  ]),
  ...mutations('T25', 'src/gateway/report-keeping.ts', KEPT, [
    ['!owner || releases.line(record.line)?.owner !== owner.author', '!owner'],
  ]),
  ...mutations('T25', 'src/gateway/reporting.ts', KEPT, [
    ['checkBatchProof(root, stored.root, decodeBatchProof(body));', ''],
  ]),
];
