/** `firmament author serve DIR`: an author's images at public URLs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { imageServer, ownCertificate } from '../author/serve.ts';
import type { TlsCredentials } from '../net/tls.ts';
import { onlyPositional, readArguments, wrong, type Arguments } from './arguments.ts';
import { systemClock } from './author-session.ts';
import type { Io } from './io.ts';
import { jsonLogger } from './json-logger.ts';
import { untilStopped } from './until-stopped.ts';

/** Serves until SIGTERM; prints where it listens as one JSON line. */
export async function serve(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['port', 'host', 'certificate', 'key', 'own-root']);
  const directory = onlyPositional(given, 'folder of images');
  const host = given.text('host') ?? '0.0.0.0';
  const server = imageServer({
    directory,
    host,
    port: given.count('port', 8445),
    tls: await credentials(given, host),
    logger: jsonLogger(io),
  });
  await using running = server;
  const port = await running.listen();
  io.stdout(JSON.stringify({ serves: directory, host, port }));
  await untilStopped();
}

async function credentials(given: Arguments, host: string): Promise<TlsCredentials> {
  const ownRoot = given.text('own-root');
  if (ownRoot === undefined) {
    if (given.text('certificate') === undefined)
      wrong('--certificate with --key, or --own-root, is needed');
    return {
      certificatePem: readFileSync(given.required('certificate'), 'utf8'),
      privateKeyPem: readFileSync(given.required('key'), 'utf8'),
    };
  }
  const hosts = ['localhost', '127.0.0.1', ...(host === '0.0.0.0' ? [] : [host])];
  const { tls, rootPem } = await ownCertificate(hosts, systemClock());
  writeFileSync(ownRoot, rootPem);
  return tls;
}
