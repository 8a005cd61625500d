/** Questions and answers between two processes over Node's own channel, in both directions. */
import { codeOf, FirmamentError, type Code } from '../../errors.ts';

/** What `process` and a forked child have in common. */
export interface Channel {
  send?(message: object, sent: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

type Handlers = Readonly<Record<string, (...args: never[]) => unknown>>;

type Message =
  | { readonly id: number; readonly call: string; readonly args: readonly unknown[] }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code?: Code; readonly message: string } };

/** Coded errors cross with their code. Every question that is open when the channel ends is rejected. */
export class ProcessLink {
  readonly #channel: Channel;
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 0;
  #ended = false;

  constructor(channel: Channel, handlers: Handlers) {
    this.#channel = channel;
    channel.on('message', (message) => void this.#take(message as Message, handlers));
    channel.on('disconnect', () => this.#end());
  }

  call<T>(name: string, ...args: readonly unknown[]): Promise<T> {
    const asked = Promise.withResolvers<unknown>();
    if (this.#ended) asked.reject(new Error('the process is gone'));
    else {
      const id = this.#next++;
      this.#open.set(id, asked);
      this.#send({ id, call: name, args }, (error) => {
        if (error) this.#open.get(id)?.reject(error);
      });
    }
    return asked.promise as Promise<T>;
  }

  async #take(message: Message, handlers: Handlers): Promise<void> {
    if ('call' in message) return this.#answer(message, handlers);
    const asked = this.#open.get(message.id);
    this.#open.delete(message.id);
    if ('value' in message) asked?.resolve(message.value);
    else {
      const { code, message: text } = message.error;
      asked?.reject(code ? new FirmamentError(code, text) : new Error(text));
    }
  }

  async #answer(
    { id, call, args }: Extract<Message, { call: string }>,
    handlers: Handlers,
  ): Promise<void> {
    try {
      const handler = handlers[call];
      if (!handler) throw new Error(`nobody answers ${call}`);
      this.#send({ id, value: await handler(...(args as never[])) });
    } catch (error) {
      const code = codeOf(error);
      const message = error instanceof Error ? error.message : String(error);
      this.#send({ id, error: { ...(code && { code }), message } });
    }
  }

  // Without somebody to take it, the error of a pipe that broke would end this process.
  #send(message: object, sent: (error: Error | null) => void = () => undefined): void {
    if (!this.#ended) this.#channel.send?.(message, sent);
  }

  #end(): void {
    this.#ended = true;
    for (const asked of this.#open.values()) asked.reject(new Error('the process is gone'));
    this.#open.clear();
  }
}
