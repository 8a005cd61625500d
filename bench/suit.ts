/** SUIT: verifying and processing envelopes, parse cost by size, memory while a large image is decrypted. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { privateKey, sha256 } from '#crypto';
import { utf8 } from '../src/bytes.ts';
import { createSign1 } from '../src/cose/sign1.ts';
import type { PrivateKey } from '../src/crypto/key.ts';
import { authenticate } from '../src/suit/authenticate.ts';
import {
  buildEnvelope,
  buildImageManifest,
  buildManifest,
  encodeSequence,
  wrap,
} from '../src/suit/build.ts';
import type { CommandInput } from '../src/suit/build.ts';
import { suitDigest } from '../src/suit/digest.ts';
import { parseEnvelope } from '../src/suit/envelope.ts';
import { parseManifest } from '../src/suit/manifest.ts';
import { memoryComponents } from '../src/suit/memory-components.ts';
import { processManifest } from '../src/suit/process.ts';
import type { BenchOptions, Row } from './support/row.ts';

const IMAGE = utf8('a small image');
const VENDOR = new Uint8Array(16).fill(1);
const CLASS = new Uint8Array(16).fill(2);
const COMPONENT = [Uint8Array.of(0)];

export async function rows({ quick }: BenchOptions): Promise<readonly Row[]> {
  const ms = quick ? 50 : 1500;
  return [
    ...verification(ms),
    await processing(ms),
    ...parsing(ms / 3),
    ...(await memory(quick ? 1 : 64)),
  ];
}

function envelopeBy(key: PrivateKey): Uint8Array {
  const manifest = wrap(
    buildImageManifest({
      vendorId: VENDOR,
      classId: CLASS,
      sequence: 1n,
      componentId: COMPONENT,
      digest: sha256(IMAGE),
      size: IMAGE.length,
      uri: 'u',
    }),
  );
  const payload = suitDigest(manifest);
  const block = createSign1({ header: new Map(), payload, key, detached: true });
  return buildEnvelope({ manifest, authenticationBlocks: [block] });
}

/** How often `step` runs in a second. */
function perSecond(ms: number, step: () => void): number {
  for (let i = 0; i < 50; i++) step();
  let count = 0;
  const start = performance.now();
  while (performance.now() - start < ms) {
    step();
    count++;
  }
  return (count * 1000) / (performance.now() - start);
}

function verification(ms: number): readonly Row[] {
  return (['Ed25519', 'P-256'] as const).map((curve) => {
    const key = privateKey(curve, new Uint8Array(32).fill(7));
    const bytes = envelopeBy(key);
    const value = perSecond(ms, () => authenticate(parseEnvelope(bytes), [key.publicKey]));
    return {
      name: `verify, ${curve}, ${bytes.length} B`,
      value,
      unit: '/s',
      aim: { atLeast: 1000 },
    };
  });
}

async function processing(ms: number): Promise<Row> {
  const key = privateKey('Ed25519', new Uint8Array(32).fill(7));
  const verified = authenticate(parseEnvelope(envelopeBy(key)), [key.publicKey]);
  const port = memoryComponents({
    components: new Map([['00', null]]),
    payloads: new Map([['u', IMAGE]]),
    identifiers: { vendor: [VENDOR], class: [CLASS] },
  });
  const sections = ['install', 'validate', 'invoke'] as const;
  let count = 0;
  const start = performance.now();
  while (performance.now() - start < ms) {
    await processManifest(verified, { sections, port });
    count++;
  }
  const value = (count * 1000) / (performance.now() - start);
  return { name: 'process install, validate, invoke', value, unit: '/s', aim: { atLeast: 1000 } };
}

/** Manifests of many small commands; a cost that grows with the size would show in the ratio. */
function parsing(ms: number): readonly Row[] {
  const sizes = [1, 4, 16, 63];
  const costs = sizes.map((kib) => {
    const manifest = manifestOf(kib * 1024);
    const microseconds = 1e6 / perSecond(ms, () => parseManifest(manifest));
    return { kib, perKib: microseconds / (manifest.length / 1024) };
  });
  const ratio = (costs.at(-1)?.perKib ?? 0) / (costs[1]?.perKib ?? 1);
  return [
    ...costs.map(({ kib, perKib }) => ({
      name: `parse, manifest of ${kib} KiB`,
      value: perKib,
      unit: 'us/KiB',
    })),
    {
      name: 'parse, cost of a KiB at 63 KiB to that at 4 KiB',
      value: ratio,
      unit: '',
      aim: { atMost: 4 },
      note: '1 is linear; quadratic work would be 16. The garbage collector takes its share of larger ones',
    },
  ];
}

function manifestOf(bytes: number): Uint8Array {
  const step: readonly CommandInput[] = [
    {
      kind: 'override-parameters',
      parameters: { uri: 'coap://[2001:db8::1]/image', imageSize: 1 },
    },
    { kind: 'condition', name: 'component-slot', policy: 15 },
  ];
  const each = encodeSequence(step).length - 1;
  const count = Math.floor((bytes - 64) / each);
  const commands = Array.from({ length: count }, () => step).flat();
  return wrap(
    buildManifest({
      sequence: 1n,
      componentIds: [COMPONENT],
      sections: new Map([['install', { content: encodeSequence(commands) }]]),
    }),
  );
}

/** The most memory of a process that runs a manifest over an encrypted image, and over one four times as large. */
async function memory(mebibytes: number): Promise<readonly Row[]> {
  const child = join(import.meta.dirname, 'support', 'suit-memory.child.ts');
  const folder = mkdtempSync(join(tmpdir(), 'firmament-bench-suit-'));
  const peak = async (size: number): Promise<number> => {
    const { stdout } = await promisify(execFile)(process.execPath, [child, folder, `${size}`]);
    return Number(stdout);
  };
  try {
    const value = await peak(mebibytes);
    const larger = await peak(4 * mebibytes);
    return [
      { name: `peak memory, encrypted image of ${mebibytes} MiB`, value, unit: 'MiB' },
      {
        name: `peak memory, encrypted image of ${4 * mebibytes} MiB`,
        value: larger,
        unit: 'MiB',
        aim: { atMost: Math.ceil(value + 32) },
        note: 'flat: the whole process, in which the image is made, fetched, decrypted (A128GCM), stored and matched in pieces',
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
