/** What this node does for whoever holds its own TLS key (docs/operations.md). */
import { decodeBackupRequest, encodeBackedUp, OWN_BACKUP } from '../api/own.ts';
import { equal } from '../bytes.ts';
import { check } from '../errors.ts';
import { peerSpki, type App, type Request } from '../net/server.ts';
import { writeBackup, type BackupParts } from './backup.ts';

/** `spki`: SHA-256 of this node's own TLS key. */
export function ownRoutes(app: App, parts: BackupParts, spki: Uint8Array): void {
  let running = false;
  const onlySelf = async (request: Request): Promise<void> => {
    const caller = peerSpki(request);
    check(caller !== undefined && equal(caller, spki), 'NODE_PEER_UNKNOWN');
  };
  app.post(OWN_BACKUP, { onRequest: onlySelf }, async (request, reply) => {
    check(!running, 'NODE_OVERLOADED', 'a backup is being made');
    running = true;
    try {
      const made = await writeBackup(parts, decodeBackupRequest(request.body as Uint8Array));
      return await reply.type('application/cbor').send(encodeBackedUp(made));
    } finally {
      running = false;
    }
  });
}
