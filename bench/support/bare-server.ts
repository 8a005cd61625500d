/** The bare server as a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface BareServer extends AsyncDisposable {
  readonly port: number;
}

/** `tls`: a node's key file; `body`: a file that answers every request, or a folder of files. */
export async function startBareServer(tls: string, body: string): Promise<BareServer> {
  const program = join(import.meta.dirname, 'bare-server.child.ts');
  const child = spawn(process.execPath, [program, tls, body], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    port: Number(line.toString()),
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'close');
      child.stdin.destroy();
      await gone;
    },
  };
}
