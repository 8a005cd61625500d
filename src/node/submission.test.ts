import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeGroup } from '../api/registration.ts';
import { fail } from '../errors.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { declaration, openedReplica, registeredAuthor } from '../testing/ledger-fixture.ts';
import type { Heads } from './heads.ts';
import { submit, type SubmissionParts } from './submission.ts';

const network = fixtureNetwork();

/** Submits a line of an author whom the replica here does not know; k operators cosigned so much. */
async function submitted(claimed: number): Promise<unknown> {
  const { database, replica } = openedReplica(network);
  const { author } = registeredAuthor(network, 'somebody');
  const { statement } = declaration(author, 0);
  const heads = { claimed: () => claimed, hasQuorum: () => true, all: () => [{ size: claimed }] };
  const parts = {
    replica,
    heads: heads as unknown as Heads,
    ledger: { submit: () => fail('LEDGER_CLOSED') },
    orders: () => false,
    clock: () => network.genesis.time,
  } as unknown as SubmissionParts;
  try {
    return await submit(parts, encodeGroup([{ statement: statement.bytes, attachment: null }]));
  } finally {
    database.close();
  }
}

test('a node that k operators are ahead of refuses nothing for good: it says that it is behind', async () => {
  await assert.rejects(submitted(100), { code: 'NODE_BEHIND' });
});

test('a node that is where the others are refuses', async () => {
  await assert.rejects(submitted(1), { code: 'AUTHOR_UNKNOWN' });
});
