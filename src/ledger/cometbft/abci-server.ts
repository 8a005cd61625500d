/**
 * The application's end of ABCI 2.0 over a unix socket. CometBFT opens four connections; on each, requests are
 * answered one after the other in the order in which they came, and `flush` with `flush`.
 */
import { chmod } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { codeOf, fail } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import {
  RequestSchema,
  ResponseSchema,
  type Request,
} from '../../proto/tendermint/abci/types_pb.js';
import { frame, FrameReader } from './framing.ts';

/** One call of the engine's, without the field that says which. */
export type Call = Request['value'];
export type Answer = NonNullable<MessageInitShape<typeof ResponseSchema>['value']>;

export interface AbciServerOptions {
  /** Path of the socket, in a folder that only this user may enter. */
  readonly path: string;
  /** Answers one call. What it throws ends every connection: the engine and the application start anew together. */
  readonly answer: (call: Call) => Answer | Promise<Answer>;
  readonly logger: Logger;
  /** A connection that was open ended, by the engine or by an error here; told once. */
  readonly onDown: (reason: unknown) => void;
}

/** Listens until it is disposed of. */
export async function listenAbci(options: AbciServerOptions): Promise<AbciServer> {
  const server = new AbciServer(options);
  await server.listen();
  return server;
}

// The engine sends its requests ahead: beyond so many bytes a connection is left unread until answers are out.
const MAX_AHEAD = 16 << 20;

export class AbciServer implements AsyncDisposable {
  readonly #options: AbciServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #down = false;

  constructor(options: AbciServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject).listen(this.#options.path, resolve);
    await promise;
    await chmod(this.#options.path, 0o600);
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  #serve(socket: Socket): void {
    if (this.#down) return void socket.destroy();
    this.#sockets.add(socket);
    const reader = new FrameReader();
    const waiting: Uint8Array[] = [];
    let ahead = 0;
    let running = false;
    const run = async (): Promise<void> => {
      if (running) return;
      running = true;
      // What one chunk asked goes out as one: a write costs more than most answers.
      socket.cork();
      try {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          if (this.#down) return;
          const answered = this.#answered(socket, next);
          if (answered) {
            socket.uncork();
            await answered;
            socket.cork();
          }
          ahead -= next.length;
          if (ahead < MAX_AHEAD && socket.isPaused()) socket.resume();
        }
      } catch (error) {
        this.#tearDown(error);
      } finally {
        socket.uncork();
        running = false;
      }
    };
    socket.on('data', (chunk) => {
      try {
        for (const message of reader.push(chunk as Uint8Array)) {
          waiting.push(message);
          ahead += message.length;
        }
      } catch (error) {
        return this.#tearDown(error);
      }
      if (ahead >= MAX_AHEAD) socket.pause();
      void run();
    });
    socket.on('error', (error) => this.#tearDown(error));
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#tearDown(undefined);
    });
  }

  /** A promise only when the answer is one. */
  #answered(socket: Socket, message: Uint8Array): Promise<void> | undefined {
    const send = (value: Answer): void => {
      if (!socket.writable) return;
      socket.write(frame(toBinary(ResponseSchema, create(ResponseSchema, { value }))));
    };
    const failed = (error: unknown): never => {
      // CometBFT ends itself on an exception, by design: what the application can't answer nobody may guess.
      send({ case: 'exception', value: { error: codeOf(error) ?? 'INTERNAL' } });
      throw error;
    };
    try {
      const answer = this.#options.answer(callOf(message));
      if (answer instanceof Promise) return answer.then(send, failed);
      send(answer);
      return undefined;
    } catch (error) {
      return failed(error);
    }
  }

  #tearDown(reason: unknown): void {
    if (this.#down) return;
    this.#down = true;
    this.#server.close();
    for (const socket of this.#sockets) socket.end();
    this.#options.onDown(reason);
  }

  /** Closes every connection and the socket; `onDown` is not told of that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#down = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await promise;
  }
}

function callOf(message: Uint8Array): Call {
  let request: Request;
  try {
    request = fromBinary(RequestSchema, message);
  } catch (cause) {
    return fail('ENGINE_FRAME_INVALID', 'not an ABCI request', {}, cause);
  }
  return request.value;
}
