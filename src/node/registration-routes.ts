/** Transactions 1 to 3 on a registration node: registering, and uploading what was registered. */
import { fromHex } from '../bytes.ts';
import {
  encodeMissing,
  encodeRegistered,
  MAX_REGISTRATION,
  REGISTRATIONS,
  type Registered,
} from '../api/registration.ts';
import { codeOf, fail } from '../errors.ts';
import type { App, Reply } from '../net/server.ts';
import { BLOCK_MAX_BYTES } from '../store/cid.ts';
import type { Admission } from './admission.ts';
import type { ImageStore } from './image-store.ts';
import { lookUp, submit, type SubmissionParts } from './submission.ts';

export interface RegistrationParts extends SubmissionParts {
  readonly imageStore: ImageStore;
  readonly admission: Admission;
}

/** Seconds. */
const RETRY_AFTER = 1;

export function registrationRoutes(app: App, parts: RegistrationParts): void {
  app.post(
    REGISTRATIONS,
    { bodyLimit: MAX_REGISTRATION, onRequest: parts.admission.enter },
    async (request, reply) => {
      const submitted = await submit(parts, request.body as Uint8Array).catch((error: unknown) => {
        // Kept and put forward again: whoever asks again gets the answer.
        if (codeOf(error) === 'LEDGER_UNORDERED') reply.header('retry-after', RETRY_AFTER);
        throw error;
      });
      return sendRegistered(
        reply,
        submitted.complete ? (submitted.known ? 200 : 201) : 202,
        submitted,
      );
    },
  );
  app.get<{ Params: { digest: string } }>('/v1/entries/:digest', async (request, reply) => {
    const found =
      lookUp(parts, fromHex(request.params.digest, 32)) ?? fail('RELEASE_UNKNOWN', 'no such entry');
    return sendRegistered(reply, found.complete ? 200 : 202, found.registered);
  });
  app.get<{ Params: { sha256: string } }>('/v1/images/:sha256/missing', async (request, reply) => {
    const missing = await parts.imageStore.missing(fromHex(request.params.sha256, 32));
    return reply
      .header('cache-control', 'no-store')
      .type('application/cbor')
      .send(encodeMissing(missing));
  });
  app.put<{ Params: { sha256: string; cid: string } }>(
    '/v1/images/:sha256/blocks/:cid',
    { bodyLimit: BLOCK_MAX_BYTES },
    async (request, reply) => {
      const { sha256, cid } = request.params;
      await parts.imageStore.put(fromHex(sha256, 32), cid, request.body as Uint8Array);
      return reply.code(204).send();
    },
  );
}

function sendRegistered(reply: Reply, status: number, registered: Registered): Reply {
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type('application/cbor')
    .send(encodeRegistered(registered));
}
