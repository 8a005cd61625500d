/** An author that anchors an image with chunks that are not its, and uploads them. */
import { sha256 } from '#crypto';
import { cidText, rawCid } from '../../src/store/cid.ts';
import { buildRelease } from '../../src/author/release.ts';
import { anchorStatement, declareStatement } from '../../src/author/statements.ts';
import { register } from '../../src/author/registration.ts';
import { CHUNK_BYTES, layout } from '../../src/store/unixfs.ts';
import { uploadPath } from '../../src/api/registration.ts';
import type { TestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';

/** Answers how to upload the false chunks, by the path of each and its bytes. */
export async function anchorFalsely(
  network: TestNetwork,
  image: Uint8Array,
): Promise<readonly { readonly path: string; readonly bytes: Uint8Array }[]> {
  const rival = await testAuthor(network);
  const { session } = rival;
  const line = rival.line('pump');
  const signer = { key: session.key, author: session.author.id, networkId: network.root.networkId };
  const wrong = Uint8Array.from(image, (byte) => byte ^ 1);
  const bytes = Array.from({ length: Math.ceil(image.length / CHUNK_BYTES) }, (_, i) =>
    wrong.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES),
  );
  const chunks = bytes.map(sha256);
  const { root } = layout(image.length, chunks);
  const description = { size: image.length, digest: sha256(image), root, chunks };
  const claims = { version: '1.0.0', urgency: 'functional' as const, documents: [] };
  const { digest, statement, attachment } = buildRelease(signer, {
    line,
    sequence: 1n,
    image: description,
    claims,
  });
  const [first, second] = await session.author.counters.next(2);
  const anchored = {
    release: digest,
    image: sha256(image),
    size: image.length,
    root,
    chunks,
    component: 0,
  };
  const group = [
    { statement: declareStatement(signer, first as bigint, line).bytes, attachment: null },
    { statement: statement.bytes, attachment },
    {
      statement: anchorStatement(signer, second as bigint, line, anchored).bytes,
      attachment: null,
    },
  ];
  await register(session.network, group, session.patience);
  return bytes.map((chunk) => ({
    path: `${uploadPath(sha256(image))}/blocks/${cidText(rawCid(sha256(chunk)))}`,
    bytes: chunk,
  }));
}
