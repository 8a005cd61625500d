/**
 * Engine and application as one: started together, application first, and started anew together when either ends.
 * A broken connection says that the two no longer agree on what happened last; only a handshake can tell.
 */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { listenAbci, type AbciServerOptions } from './abci-server.ts';
import { endOrphan, startEngine, type EngineProcess } from './process.ts';
import type { EngineSockets } from './sockets.ts';

export interface EnginePairOptions {
  readonly binary: string;
  readonly home: string;
  readonly sockets: EngineSockets;
  readonly answer: AbciServerOptions['answer'];
  readonly logger: Logger;
  /** Before each start: writes the home and brings the application back to what is on disk. `last`: what the engine wrote at its end. */
  readonly prepare: (last: string) => Promise<void>;
  /** After each end: nothing comes from the engine until the next start. */
  readonly onEnd: () => void;
  readonly onConsensusFailure: () => void;
  /** Milliseconds of the first pause before a start anew (default 250), doubled up to 10 s while starts fail. */
  readonly backoffMs?: number | undefined;
}

const ASKED = 'the pair was asked to start anew';
const MAX_BACKOFF = 10_000;
// One that ran so long had not failed at its start.
const STEADY = 30_000;

export class EnginePair implements AsyncDisposable {
  readonly #options: EnginePairOptions;
  readonly #closed = new AbortController();
  readonly #running: Promise<void>;
  #engine: EngineProcess | undefined;
  #starts = 0;
  /** Ends the run that is under way. */
  #end: ((reason: unknown) => void) | undefined;

  constructor(options: EnginePairOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** How often the pair was started anew. */
  get restarts(): number {
    return Math.max(0, this.#starts - 1);
  }

  /** The engine's process id while it runs. */
  get pid(): number | undefined {
    return this.#engine?.pid;
  }

  /** Stops the engine and starts the pair anew, with what the home is to hold then. */
  restart(): void {
    this.#end?.(ASKED);
  }

  async #run(): Promise<void> {
    const { logger, onEnd, backoffMs = 250 } = this.#options;
    const { signal } = this.#closed;
    let failures = 0;
    let last = '';
    while (!signal.aborted) {
      const started = performance.now();
      this.#starts++;
      try {
        last = await this.#once(last);
      } catch (error) {
        logger.error('the engine could not be started', { code: codeOf(error), error });
      }
      onEnd();
      if (signal.aborted) return;
      failures = performance.now() - started > STEADY ? 0 : failures + 1;
      const pause = Math.min(backoffMs * 2 ** Math.max(0, failures - 1), MAX_BACKOFF);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One life of the pair. Resolves with the end of what the engine wrote. */
  async #once(before: string): Promise<string> {
    const { home, sockets, binary, answer, logger, prepare, onConsensusFailure } = this.#options;
    await endOrphan(home, logger);
    await Promise.all([sockets.abci, sockets.rpc].map((path) => rm(path, { force: true })));
    await prepare(before);
    const end = Promise.withResolvers<unknown>();
    let last = '';
    // Closed last: while the engine stops in order, its last questions are answered.
    await using stack = new AsyncDisposableStack();
    stack.use(
      await listenAbci({
        path: sockets.abci,
        answer,
        logger,
        onDown: (reason) => end.resolve(reason ?? 'the engine closed its connection'),
      }),
    );
    const engine = startEngine({
      binary,
      home,
      logger,
      onConsensusFailure,
      onExit: (code, signal, text) => {
        last = text;
        end.resolve(`the engine ended: ${code ?? signal ?? 'not started'}`);
      },
    });
    this.#engine = engine;
    this.#end = end.resolve;
    if (this.#closed.signal.aborted) end.resolve('closed');
    const reason = await end.promise;
    this.#engine = undefined;
    this.#end = undefined;
    const closed = this.#closed.signal.aborted;
    // Its last words come with its end, and they say why: a connection breaks before they are written.
    await engine.stop();
    if (reason === ASKED) logger.info(ASKED);
    else if (!closed)
      logger.error('engine and application start anew', {
        code: codeOf(reason),
        reason,
        last: last.slice(-2000),
      });
    return last;
  }

  /** Stops the engine and then the application's side. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    this.#end?.('closed');
    await this.#running;
  }
}
