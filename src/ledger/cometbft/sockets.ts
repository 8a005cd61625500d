/** A folder for the engine's two sockets, which nobody but this user may enter. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from '../../errors.ts';

export interface EngineSockets extends AsyncDisposable {
  readonly abci: string;
  readonly rpc: string;
}

// sockaddr_un holds 108 bytes with the closing zero, on some systems 104.
const MAX_PATH = 100;

/** In the engine's folder, or, when its path is too long, in a temporary one. Errors: ENGINE_SOCKET_PATH. */
export async function engineSockets(home: string): Promise<EngineSockets> {
  const own = join(home, 'run');
  const fits = Buffer.byteLength(join(own, 'abci.sock')) <= MAX_PATH;
  const folder = fits ? own : await mkdtemp(join(tmpdir(), 'engine-'));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const sockets = { abci: join(folder, 'abci.sock'), rpc: join(folder, 'rpc.sock') };
  check(Buffer.byteLength(sockets.abci) <= MAX_PATH, 'ENGINE_SOCKET_PATH', undefined, { folder });
  return {
    ...sockets,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
