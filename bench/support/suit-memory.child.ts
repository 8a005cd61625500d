/** Runs a manifest over an encrypted image of as many MiB as told, in a folder; prints its peak memory in MiB. */
import { createWriteStream, statSync } from 'node:fs';
import { createCipheriv } from 'node:crypto';
import { join } from 'node:path';
import { createHash, privateKey } from '#crypto';
import { CIPHERS, encStructure } from '../../src/cose/cipher.ts';
import { createEncrypt } from '../../src/cose/encrypt.ts';
import { createSign1 } from '../../src/cose/sign1.ts';
import { authenticate } from '../../src/suit/authenticate.ts';
import { buildEnvelope, buildManifest, encodeSequence, wrap } from '../../src/suit/build.ts';
import { suitDigest } from '../../src/suit/digest.ts';
import { parseEnvelope } from '../../src/suit/envelope.ts';
import { processManifest } from '../../src/suit/process.ts';
import { slotsPort } from '../../src/cli/suit-slots.ts';

const [folder = '', size = '1'] = process.argv.slice(2);
const CHUNK = new Uint8Array(1 << 20).fill(7);
const KEK = new Uint8Array(16).fill(1);
const KEY = privateKey('Ed25519', new Uint8Array(32).fill(7));

const contentKey = new Uint8Array(CIPHERS.A128GCM.key).fill(2);
const iv = new Uint8Array(CIPHERS.A128GCM.iv);
const recipients = [{ key: KEK }];
const info = createEncrypt({ cipher: 'A128GCM', contentKey, iv, recipients });

// The image is made in pieces too, so that making it does not count.
const file = join(folder, 'encrypted');
const cipher = createCipheriv('aes-128-gcm', contentKey, iv);
cipher.setAAD(encStructure('Encrypt', info.content.protectedBytes));
const hash = createHash('SHA-256');
const out = createWriteStream(file);
const write = (bytes: Uint8Array): Promise<void> =>
  new Promise((done, failed) => void out.write(bytes, (error) => (error ? failed(error) : done())));
for (let i = 0; i < Number(size); i++) {
  hash.update(CHUNK);
  await write(cipher.update(CHUNK));
}
await write(cipher.final());
await write(cipher.getAuthTag());
await new Promise<void>((done) => void out.end(done));

const manifest = wrap(
  buildManifest({
    sequence: 1n,
    componentIds: [[Uint8Array.of(0)]],
    sections: new Map([
      [
        'install',
        {
          content: encodeSequence([
            {
              kind: 'override-parameters',
              parameters: {
                uri: 'u',
                encryptionInfo: info.bytes,
                imageDigest: { algorithm: 'SHA-256', bytes: hash.digest() },
                imageSize: Number(size) << 20,
              },
            },
            { kind: 'action', name: 'fetch', policy: 0 },
            { kind: 'condition', name: 'image-match', policy: 0 },
          ]),
        },
      ],
    ]),
  }),
);
const payload = suitDigest(manifest);
const block = createSign1({ header: new Map(), payload, key: KEY, detached: true });
const envelope = buildEnvelope({ manifest, authenticationBlocks: [block] });

await processManifest(authenticate(parseEnvelope(envelope), [KEY.publicKey]), {
  sections: ['install'],
  decryptionKeys: [{ kind: 'wrap', key: KEK }],
  port: slotsPort({
    directory: folder,
    vendorId: undefined,
    classId: undefined,
    slot: undefined,
    payloads: new Map([['u', file]]),
    battery: undefined,
    authorizeUpTo: undefined,
    now: () => 0n,
    onInvoke: () => undefined,
    onUnlink: () => undefined,
  }),
});
if (statSync(join(folder, '00')).size !== Number(size) << 20) throw new Error('not installed');
// maxRSS is in KiB.
console.log(process.resourceUsage().maxRSS / 1024);
