/** HTTP/1.1 over one kept TLS connection, as bare as it gets: the load must cost less than what it loads. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: Uint8Array;
}

const END = Buffer.from('\r\n\r\n');

/** The bytes of a request with a body. */
export function post(path: string, host: string, type: string, body: Uint8Array): Uint8Array {
  const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** The bytes of a request without one. */
export function get(path: string, host: string): Uint8Array {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
}

/** A connection to 127.0.0.1; one request at a time. The server's key is not checked: this is a load, not a client. */
export async function openConnection(port: number): Promise<Connection> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return new Connection(socket);
}

export class Connection implements Disposable {
  readonly #socket: TLSSocket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: PromiseWithResolvers<Answer> | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (part: Buffer) => this.#take(part));
    const ended = (error?: Error): void =>
      this.#waiting?.reject(error ?? new Error('the server ended the connection'));
    socket.on('error', ended).on('close', () => ended());
  }

  request(bytes: Uint8Array): Promise<Answer> {
    this.#waiting = Promise.withResolvers<Answer>();
    this.#socket.write(bytes);
    return this.#waiting.promise;
  }

  #take(part: Buffer): void {
    this.#received = this.#received.length === 0 ? part : Buffer.concat([this.#received, part]);
    const end = this.#received.indexOf(END);
    if (end === -1) return;
    const head = this.#received.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const body = this.#received.subarray(end + 4, end + 4 + length);
    if (body.length < length) return;
    this.#received = this.#received.subarray(end + 4 + length);
    this.#waiting?.resolve({ status: Number(head.slice(9, 12)), head, body: new Uint8Array(body) });
  }

  [Symbol.dispose](): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }
}
