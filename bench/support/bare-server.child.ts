/** What nodes are compared with: node:https and nothing else, serving one body or the files of a folder. */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';

const [tls = '', body = ''] = process.argv.slice(2);
const { certificate, key } = (
  JSON.parse(readFileSync(tls, 'utf8')) as { tls: { certificate: string; key: string } }
).tls;
const folder = statSync(body).isDirectory();
const bytes = folder ? Buffer.alloc(0) : readFileSync(body);

const server = createServer(
  { cert: certificate, key, minVersion: 'TLSv1.2' },
  (request, response) => {
    if (!folder) {
      response
        .writeHead(200, { 'content-type': 'application/cbor', 'content-length': bytes.length })
        .end(bytes);
      return;
    }
    const path = join(body, basename(request.url ?? ''));
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': statSync(path).size,
    });
    createReadStream(path).pipe(response);
  },
);
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
// Its parent is gone when the pipe closes.
process.stdin.once('close', () => process.exit()).resume();
