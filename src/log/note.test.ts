import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256, verify } from '#crypto';
import { concat, fromBase64, hex, utf8 } from '../bytes.ts';
import { formatNote, parseNote, parseSignatureLine } from './note.ts';

// The example of golang.org/x/mod/sumdb/note.
const text = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.
`;
const line =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const verifierKey = 'ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const example = `${text}\n${line}`;
const code = { code: 'LOG_NOTE_MALFORMED' };

test('the example of sumdb/note', () => {
  const note = parseNote(example);
  assert.equal(note.text, text);
  const [signature, ...none] = note.signatures;
  assert.ok(signature !== undefined && none.length === 0);
  assert.equal(signature.name, 'PeterNeumann');
  const typed = fromBase64(verifierKey);
  const id = sha256(concat(utf8('PeterNeumann\n'), typed)).slice(0, 4);
  assert.equal(hex(signature.keyId), hex(id));
  const key = { curve: 'Ed25519', bytes: typed.slice(1) } as const;
  assert.ok(verify(key, utf8(note.text), signature.signature));
  assert.equal(formatNote(note), example);
});

test('the last empty line parts text and signatures', () => {
  const note = parseNote(`a\n\nb\n\n${line}`);
  assert.equal(note.text, 'a\n\nb\n');
});

test('sixty-four signatures and 64 KiB at most', () => {
  assert.equal(parseNote(`${text}\n${line.repeat(64)}`).signatures.length, 64);
  assert.throws(() => parseNote(`${text}\n${line.repeat(65)}`), code);
  const frame = `\n\n${line}`;
  const room = (64 << 10) - utf8(frame).length;
  assert.equal(parseNote('x'.repeat(room) + frame).text.length, room + 1);
  assert.throws(() => parseNote('x'.repeat(room + 1) + frame), code);
});

test('anything else is refused', () => {
  const bad = [
    '',
    text,
    `${text}\n`,
    `\n${line}`,
    `\n\n${line}`,
    example.slice(0, -1),
    `${example.slice(0, -1)}x`,
    example.replace('nAM=', 'nAM= more'),
    `${example}\n`,
    `${text}\n${line}x\n`,
    example.replace('— ', '- '),
    example.replace('PeterNeumann ', ''),
    example.replace('PeterNeumann', ''),
    example.replace('PeterNeumann', 'Peter+Neumann'),
    example.replace('PeterNeumann', 'Peter\u00a0Neumann'),
    example.replace('PeterNeumann ', 'PeterNeumann  '),
    example.replace('nAM=', 'nAM'),
    example.replace('nAM=', 'nAN='),
    example.replace('nAM=', 'nAM=\t'),
    `${text}\n— PeterNeumann x08goA==\n`,
    `${text}\n— PeterNeumann x08g\n`,
    example.replace('If', '\u0000'),
    example.replace('If', '\ud800'),
  ];
  for (const one of bad) assert.throws(() => parseNote(one), code, JSON.stringify(one));
  assert.throws(() => parseSignatureLine(line.slice(0, -1)), code);
  assert.throws(() => parseSignatureLine(line.replace('nAM=', 'nA\tM=')), code);
  const signature = { name: 'a b', keyId: new Uint8Array(4), signature: new Uint8Array(64) };
  assert.throws(() => formatNote({ text, signatures: [signature] }), code);
  assert.throws(() => formatNote({ text, signatures: [] }), code);
  const good = { ...signature, name: 'a' };
  assert.throws(() => formatNote({ text: 'no newline', signatures: [good] }), code);
  // A text that would be read back as another.
  assert.throws(() => formatNote({ text, signatures: [{ ...good, keyId: utf8('x') }] }), code);
});
