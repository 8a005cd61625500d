/** An archive in the place of a node: what it answers is judged as any node's answer is (T18, docs/spec/archive.md). */
import { equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { lineText } from '../registry/line.ts';
import { parseStatement } from '../registry/statement.ts';
import type { Archive } from '../store/archive.ts';
import { CHUNK_BYTES } from '../store/unixfs.ts';
import { decodeProof, encodeProof } from '../trust/proof.ts';
import { MAX_POLICIES } from '../trust/root-chain.ts';
import type { ImageSource } from '../reader/download.ts';
import type { NodeAccess } from '../reader/nodes.ts';

/** Beside the proof itself there is room for so many bytes of links. */
const MAX_LINK_BYTES = 12_288;
const MAX_LINKS = 64;

export function archiveNode(archive: Archive, name: string): NodeAccess {
  return {
    name,
    async latest(line, linksKnown) {
      check(lineText(line) === lineText(archive.line), 'LINE_UNKNOWN');
      return encodeProof({
        ...decodeProof(archive.proof),
        links: asManyAsFit(archive.links.slice(linksKnown)),
      });
    },
    policies: async (from) => archivedPolicies(archive, from).slice(0, MAX_POLICIES),
    async release(line, digest) {
      const same = lineText(line) === lineText(archive.line) && equal(digest, archive.release);
      check(same, 'RELEASE_UNKNOWN');
      return archive.envelope;
    },
    image: (sha256) => imageSource(archive, name, sha256),
    report: async () => fail('NET_UNREACHABLE', 'an archive takes no report'),
  };
}

/** The policy.change statements of the archive from this version on (T08). */
function archivedPolicies(archive: Archive, from: number): readonly Uint8Array[] {
  return archive.policies.filter((bytes) => parseStatement(bytes).counter >= BigInt(from));
}

function asManyAsFit(links: readonly Uint8Array[]): readonly Uint8Array[] {
  let room = MAX_LINK_BYTES;
  const end = links.findIndex((link, i) => (room -= link.length) < 0 || i >= MAX_LINKS);
  return end < 0 ? links : links.slice(0, end);
}

/** Its `read` throws STORE_BLOCK_MISSING, STORE_DIGEST_MISMATCH. */
function imageSource(archive: Archive, name: string, sha256: Uint8Array): ImageSource {
  return {
    name,
    async *read(offset, length, signal) {
      const image = archive.images.find(({ digest }) => equal(digest, sha256));
      const { chunks } = image ?? fail('STORE_BLOCK_MISSING', 'the archive lacks this image');
      const end = offset + length;
      for (let i = Math.floor(offset / CHUNK_BYTES); i * CHUNK_BYTES < end; i++) {
        signal.throwIfAborted();
        const bytes = await archive.chunk(chunks[i] ?? fail('STORE_BLOCK_MISSING'));
        const at = i * CHUNK_BYTES;
        yield bytes.subarray(Math.max(0, offset - at), Math.min(bytes.length, end - at));
      }
    },
  };
}
