/** The file in which a request goes from one holder of a recovery key to the next (docs/spec/author-files.md). */
import { fromHex, hex, utf8 } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { KeyChangeKind, KeyRequest, RequestedChange } from './key-changes.ts';
import { readBounded, replaceFile } from './durable-file.ts';
import { isObject, listField, numberField, parseJson, textField } from './json-file.ts';

const TYPE = 'firmament/key-request/v1';
const MAX_FILE = 1 << 18;
const MAX_CHANGES = 16;
const KINDS: readonly KeyChangeKind[] = [
  'key.rotate',
  'key.revoke',
  'line.delegate',
  'line.transfer',
];

export function encodeRequest(request: KeyRequest): string {
  const { author, network, threshold } = request;
  const changes = request.changes.map((change) => ({
    kind: change.kind,
    subject: change.subject,
    counter: change.counter.toString(),
    body: hex(change.body),
    approvals: change.approvals.map(({ keyId, signature }) => ({
      keyId: hex(keyId),
      signature: hex(signature),
    })),
    statement: change.statement && hex(change.statement),
  }));
  const recovery = request.recovery.map(hex);
  const file = { type: TYPE, author, network, threshold, recovery, changes };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Errors: AUTHOR_FILE_INVALID. */
export function parseRequest(bytes: Uint8Array): KeyRequest {
  const json = parseJson(bytes, TYPE);
  try {
    const changes = listField(json, 'changes');
    const recovery = listField(json, 'recovery');
    check(
      changes.length >= 1 && changes.length <= MAX_CHANGES && recovery.length <= 8,
      'AUTHOR_FILE_INVALID',
      'not as many changes or keys as a request may have',
    );
    return {
      author: hex(fromHex(textField(json, 'author'), 32)),
      network: hex(fromHex(textField(json, 'network'), 32)),
      threshold: numberField(json, 'threshold', 1, 8),
      recovery: recovery.map((key) => fromHex(String(key), 32)),
      changes: changes.map(parseChange),
    };
  } catch (cause) {
    if (codeOf(cause) === 'AUTHOR_FILE_INVALID') throw cause;
    return fail('AUTHOR_FILE_INVALID', 'not a key request', {}, cause);
  }
}

function parseChange(value: unknown): RequestedChange {
  if (!isObject(value)) return fail('AUTHOR_FILE_INVALID', 'not a change');
  const kind = KINDS.find((known) => known === value['kind']);
  const counter = textField(value, 'counter');
  check(
    kind !== undefined && /^\d{1,20}$/.test(counter),
    'AUTHOR_FILE_INVALID',
    'a change of an unknown kind, or its counter is no number',
  );
  const approvals = listField(value, 'approvals');
  check(approvals.length <= 8, 'AUTHOR_FILE_INVALID', 'more approvals than keys');
  const { statement } = value;
  return {
    kind,
    subject: textField(value, 'subject'),
    counter: BigInt(counter),
    body: fromHex(textField(value, 'body')),
    approvals: approvals.map((approval) => {
      if (!isObject(approval)) return fail('AUTHOR_FILE_INVALID', 'not an approval');
      return {
        keyId: fromHex(textField(approval, 'keyId'), 32),
        signature: fromHex(textField(approval, 'signature'), 64),
      };
    }),
    statement: statement === null ? null : fromHex(textField(value, 'statement')),
  };
}

/** Errors: AUTHOR_FILE_INVALID, and the file system's own. */
export async function readRequest(path: string): Promise<KeyRequest> {
  return parseRequest(await readBounded(path, MAX_FILE));
}

/** Durable once it returns. */
export async function writeRequest(path: string, request: KeyRequest): Promise<void> {
  await replaceFile(path, utf8(encodeRequest(request)));
}
