/** A bell that may ring before anybody listens: how parts of a node wake each other. One listener. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  readonly ring = (): void => {
    this.#rung = true;
    this.#wake?.();
  };

  /** Resolves when it has rung since the last call, after `ms`, or when the signal is aborted. */
  async heard(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', this.ring);
      await promise;
      signal.removeEventListener('abort', this.ring);
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}
