/** Which operators keep an image: a ranking that every node computes alike and that spreads images evenly. Pure. */
import { sha256 } from '#crypto';
import { compare, concat, utf8 } from '../bytes.ts';
import type { Policy } from '../registry/policy.ts';

/** Operators in the order in which they are asked to hold the image (rendezvous hashing). */
export function rankOperators(policy: Policy, image: Uint8Array): readonly string[] {
  return policy.operators
    .map(({ name }) => ({ name, weight: sha256(concat(image, utf8(name))) }))
    .toSorted((a, b) => compare(a.weight, b.weight))
    .map(({ name }) => name);
}

/**
 * How many places an operator stands behind those that suffice for R copies, N of them not the author's:
 * 0 when it is one of them. Whoever stands behind steps in later, when copies are still missing.
 */
export function placesBehind(
  policy: Policy,
  image: Uint8Array,
  operator: string,
  authors: string | null,
): number {
  let copies = 0;
  let elsewhere = 0;
  let behind = 0;
  for (const name of rankOperators(policy, image)) {
    const enough = copies >= policy.copies && elsewhere >= policy.copiesElsewhere;
    const useless = !enough && copies >= policy.copies && !countsElsewhere(policy, name, authors);
    if (enough || useless) behind++;
    if (name === operator) return behind;
    if (enough || useless) continue;
    copies++;
    if (countsElsewhere(policy, name, authors)) elsewhere++;
  }
  return behind;
}

/** Whether an operator's copy counts among the N that are not the author's (private mode: non-author nodes). */
export function countsElsewhere(policy: Policy, operator: string, authors: string | null): boolean {
  if (policy.mode !== 'private') return operator !== authors;
  return policy.operators.some(({ name, kind }) => name === operator && kind === 'non-author');
}
