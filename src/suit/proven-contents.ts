/** Which components hold a text that was decrypted without a tag and not yet matched with a digest. */
import { check } from '../errors.ts';

/** A cipher like A128CTR turns any text into something: only a digest, before or after, proves it. */
export class ProvenContents {
  readonly #matched = new Set<string>();
  readonly #unproven = new Set<string>();

  /** A digest or content in the manifest was found to be the component's. */
  matched(name: string): void {
    this.#matched.add(name);
    this.#unproven.delete(name);
  }

  /** `bare`: decrypted without a tag, from `source` if it was copied. */
  stored(name: string, bare: boolean, source: string | undefined): void {
    const proven = !bare || (source !== undefined && this.#matched.has(source));
    this.#matched.delete(name);
    if (proven) this.#unproven.delete(name);
    else this.#unproven.add(name);
  }

  /** Errors: SUIT_ENCRYPTION_UNPROVEN. */
  check(name: string): void {
    check(
      !this.#unproven.has(name),
      'SUIT_ENCRYPTION_UNPROVEN',
      'what was decrypted without a tag is used before a digest has proven it',
    );
  }

  /** At the end of a section nothing is left unproven. Errors: SUIT_ENCRYPTION_UNPROVEN. */
  checkAll(): void {
    for (const name of this.#unproven) this.check(name);
  }
}
