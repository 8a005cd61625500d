/** P-256 rules that hold whatever the library beneath: points, scalars, low s (SEC 1, FIPS 186-5). */
import { check } from '../errors.ts';

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function bigEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toHex()}`);
}

/** Refuses x || y that is no point of the curve. Errors: CRYPTO_KEY_INVALID. */
export function checkP256Key(bytes: Uint8Array): void {
  check(bytes.length === 64, 'CRYPTO_KEY_INVALID', 'a P-256 public key has 64 bytes, x and y');
  const x = bigEndian(bytes.subarray(0, 32));
  const y = bigEndian(bytes.subarray(32));
  check(x < P && y < P, 'CRYPTO_KEY_INVALID', 'a P-256 coordinate is not below p');
  const onCurve = (y * y - (x * x * x - 3n * x + B)) % P === 0n;
  check(onCurve, 'CRYPTO_KEY_INVALID', 'the P-256 key is not a point of the curve');
}

/** Refuses a scalar that is not 32 bytes in 1..n-1. Errors: CRYPTO_KEY_INVALID. */
export function checkP256Scalar(secret: Uint8Array): void {
  const ok = secret.length === 32 && inRange(secret);
  check(ok, 'CRYPTO_KEY_INVALID', 'a P-256 private key is 32 bytes, 1 to n-1');
}

function inRange(scalar: Uint8Array): boolean {
  const value = bigEndian(scalar);
  return value > 0n && value < N;
}

/** Whether r || s has 64 bytes and both in 1..n-1. */
export function isSignature(signature: Uint8Array): boolean {
  return (
    signature.length === 64 && inRange(signature.subarray(0, 32)) && inRange(signature.subarray(32))
  );
}

/** Whether the s of an ECDSA signature r || s is at most n/2 (T05). */
export function isLowS(signature: Uint8Array): boolean {
  return signature.length === 64 && bigEndian(signature.subarray(32)) <= N / 2n;
}

/** The same signature with its low s: (r, n - s) verifies whenever (r, s) does. */
export function lowS(signature: Uint8Array): Uint8Array {
  if (isLowS(signature)) return signature;
  const s = N - bigEndian(signature.subarray(32));
  const low = signature.slice();
  low.set(Uint8Array.fromHex(s.toString(16).padStart(64, '0')), 32);
  return low;
}
