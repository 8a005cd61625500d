/**
 * The one Ed25519 (T06): what OpenSSL, noble and others leave open is decided here, in plain
 * integer arithmetic, so that every node and device draws the same line.
 */
import { check } from '../errors.ts';

const P = 2n ** 255n - 19n;
/** Order of the prime subgroup (RFC 8032 5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const SIGN_BIT = 2n ** 255n;

/** y of the eight points of small order: order 4 (0), 1 (1), 2 (-1) and both of order 8. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  P - 1n,
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n,
]);

/** The number that 32 or 64 little-endian bytes are. */
export function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toReversed().toHex()}`);
}

/** The scalar that 64 bytes of SHA-512 are, modulo the group order (RFC 8032 5.1.7 step 2). */
export function reduceScalar(bytes: Uint8Array): bigint {
  return littleEndian(bytes) % L;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base % P;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

/**
 * y of an encoding whose y is below p, else undefined. The other second encoding, a sign bit set where
 * x is 0, occurs at y = 1 and y = -1 only, and goes with the points of small order.
 */
function canonicalY(encoding: Uint8Array): bigint | undefined {
  const y = littleEndian(encoding) % SIGN_BIT;
  return y < P ? y : undefined;
}

/** x² = (y² - 1) / (d y² + 1) has a root (RFC 8032 5.1.3); the divisor is never 0. */
function onCurve(y: bigint): boolean {
  const square = (y * y) % P;
  const ratio = ((square + P - 1n) * (D * square + 1n)) % P;
  return ratio === 0n || power(ratio, (P - 1n) / 2n) === 1n;
}

/**
 * Refuses 32 bytes that are no canonical encoding of a curve point, or one of small order.
 * Points with a torsion component ("mixed order") are accepted (docs/spec/crypto.md).
 * Errors: CRYPTO_KEY_INVALID.
 */
export function checkEd25519Key(bytes: Uint8Array): void {
  check(bytes.length === 32, 'CRYPTO_KEY_INVALID', 'an Ed25519 public key has 32 bytes');
  const name = bytes.toHex();
  if (passed.has(name)) return;
  const y = canonicalY(bytes);
  check(y !== undefined, 'CRYPTO_KEY_INVALID', 'the Ed25519 key is not canonically encoded');
  check(!SMALL_ORDER_Y.has(y), 'CRYPTO_KEY_INVALID', 'the Ed25519 key is of small order');
  check(onCurve(y), 'CRYPTO_KEY_INVALID', 'the Ed25519 key is not a point of the curve');
  if (passed.size >= MAX_PASSED) passed.clear();
  passed.add(name);
}

/** Keys that passed, in hex: the root costs as much as a signature, and few keys come often. */
const passed = new Set<string>();
const MAX_PASSED = 4096;

/**
 * Whether R || S has 64 bytes, a canonical R that is not of small order, and S < L: asked before
 * any library sees it. Node refuses a small R from some 26.x on (nodejs/node#64026) and accepted it
 * before; so it is refused here, and the line does not move with the runtime.
 */
export function isCanonicalSignature(signature: Uint8Array): boolean {
  if (signature.length !== 64 || littleEndian(signature.subarray(32)) >= L) return false;
  const y = canonicalY(signature.subarray(0, 32));
  return y !== undefined && !SMALL_ORDER_Y.has(y);
}
