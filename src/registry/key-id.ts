/** The name of a stored key. */
import { sha256 } from '#crypto';

/** RFC 9679 thumbprint of a COSE_Key in its one encoding, which is the encoding that a thumbprint hashes. */
export function keyIdOf(coseKey: Uint8Array): Uint8Array {
  return sha256(coseKey);
}
