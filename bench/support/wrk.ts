/** GET load: wrk when this machine has it, else our own connections; which one, the answer says. */
import { spawnSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { get, openConnection } from './connection.ts';

export interface GetLoad {
  /** Answers a second. */
  readonly rate: number;
  readonly generator: string;
}

export const CONNECTIONS = 32;
const hasWrk = spawnSync('wrk', ['-v']).error === undefined;

/** Asks for `path` over and over; `fresh`: a new connection, and so a full TLS handshake, each time. */
export async function getLoad(
  port: number,
  path: string,
  options: { readonly seconds: number; readonly fresh?: boolean },
): Promise<GetLoad> {
  return hasWrk ? wrk(port, path, options) : own(port, path, options);
}

async function wrk(
  port: number,
  path: string,
  { seconds, fresh = false }: { readonly seconds: number; readonly fresh?: boolean },
): Promise<GetLoad> {
  const closing = fresh ? ['-H', 'Connection: close'] : [];
  const url = `https://127.0.0.1:${port}${path}`;
  const child = spawn('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, ...closing, url]);
  let text = '';
  child.stdout.on('data', (part: Buffer) => (text += part.toString()));
  await once(child, 'close');
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  if (!(rate > 0) || /Non-2xx/.test(text)) throw new Error(`wrk: ${text}`);
  return {
    rate,
    generator: `wrk, 1 thread, ${CONNECTIONS} connections${fresh ? ', one request each' : ''}`,
  };
}

async function own(
  port: number,
  path: string,
  { seconds, fresh = false }: { readonly seconds: number; readonly fresh?: boolean },
): Promise<GetLoad> {
  const request = get(path, 'localhost');
  const until = performance.now() + seconds * 1000;
  const began = performance.now();
  let answered = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (performance.now() < until) {
        using connection = await openConnection(port);
        const last = fresh ? performance.now() : until;
        do {
          const { status } = await connection.request(request);
          if (status !== 200) throw new Error(`answered ${status}`);
          answered++;
        } while (performance.now() < last);
      }
    }),
  );
  const rate = (answered / (performance.now() - began)) * 1000;
  return {
    rate,
    generator: `node:tls in one process, ${CONNECTIONS} connections${fresh ? ', one request each' : ''}`,
  };
}
