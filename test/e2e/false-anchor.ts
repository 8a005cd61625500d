/** An author that anchors somebody else's image with chunks that are not its. */
import { sha256 } from '#crypto';
import { buildRelease } from '../../src/author/release.ts';
import { anchorStatement, declareStatement } from '../../src/author/statements.ts';
import { register } from '../../src/author/registration.ts';
import { layout } from '../../src/store/unixfs.ts';
import type { TestNetwork } from '../../src/testing/network.ts';
import { testAuthor } from '../../src/testing/network-author.ts';

export async function anchorFalsely(network: TestNetwork, image: Uint8Array): Promise<void> {
  const rival = await testAuthor(network);
  const { session } = rival;
  const line = rival.line('pump');
  const signer = { key: session.key, author: session.author.id, networkId: network.root.networkId };
  const count = Math.ceil(image.length / 262_144);
  const chunks = Array.from({ length: count }, (_, i) => sha256(Uint8Array.of(i)));
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
}
