/** The engine's JSON-RPC, over a unix socket that only this user can reach. */
import { Agent, request } from 'node:http';
import { check, fail } from '../../errors.ts';

// The largest answers: a block's results; a block is never asked for.
const MAX_ANSWER = 4 << 20;

/** What of the engine's RPC other members and a light client may ask: nothing that changes anything. */
export const READ_ONLY = [
  'status',
  'health',
  'commit',
  'validators',
  'consensus_params',
  'header',
  'blockchain',
  'genesis',
] as const;

/** How many calls may go in one request. */
export const MAX_CALLS = 64;

export type Params = Readonly<Record<string, string>>;
/** One call's answer, or why there is none. */
export type Answered = { readonly result: unknown } | { readonly refused: string };

export interface EngineRpc extends Disposable {
  /** The `result` of a call. Errors: ENGINE_RPC. */
  call(method: string, params?: Params): Promise<unknown>;
  /** Several calls of one method, done in this order. Errors: ENGINE_RPC when there is no answer at all. */
  calls(method: string, params: readonly Params[]): Promise<readonly Answered[]>;
}

const TIMEOUT_MS = 10_000;

/** Talks to the RPC socket at `path`. */
export function engineRpc(path: string): EngineRpc {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const ask = async (body: unknown): Promise<unknown> => {
    try {
      return JSON.parse(await posted(agent, path, JSON.stringify(body)));
    } catch (cause) {
      return fail('ENGINE_RPC', 'the engine does not answer', {}, cause);
    }
  };
  return {
    async call(method, params = {}) {
      const answered = readAnswer(await ask({ jsonrpc: '2.0', id: 0, method, params }));
      return 'result' in answered
        ? answered.result
        : fail('ENGINE_RPC', answered.refused, { method });
    },
    async calls(method, params) {
      const answers = await ask(
        params.map((each, id) => ({ jsonrpc: '2.0', id, method, params: each })),
      );
      check(Array.isArray(answers), 'ENGINE_RPC', 'not an answer to several calls', { method });
      const byId = new Map(
        answers.map((answer: unknown) => [(answer as { id?: unknown } | null)?.id, answer]),
      );
      return params.map((_, id) => readAnswer(byId.get(id)));
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function readAnswer(answer: unknown): Answered {
  const { result, error } = (answer ?? {}) as { result?: unknown; error?: unknown };
  if (error !== undefined && error !== null) return { refused: told(error) };
  return result === undefined ? { refused: 'no result' } : { result };
}

function told(error: unknown): string {
  const { message, data } = error as { message?: unknown; data?: unknown };
  return [message, data]
    .filter((part) => typeof part === 'string')
    .join(' ')
    .slice(0, 300);
}

function posted(agent: Agent, socketPath: string, body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const outgoing = request(
    {
      socketPath,
      host: 'localhost',
      path: '/',
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    },
    (incoming) => {
      const parts: Uint8Array[] = [];
      let length = 0;
      incoming.on('data', (part: Uint8Array) => {
        length += part.length;
        if (length > MAX_ANSWER) incoming.destroy(new Error('an answer above the bound'));
        else parts.push(part);
      });
      incoming.on('error', reject);
      incoming.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}
