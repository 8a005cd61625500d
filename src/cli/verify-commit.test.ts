import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateFor, type CertificateOptions } from '../testing/certificates.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { openedReplica, provenBlock, registeredAuthor } from '../testing/ledger-fixture.ts';
import { proven, type Shown } from './verify-commit.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { replica } = openedReplica(network);
provenBlock(replica, network, [registeredAuthor(network, 'acme').group]);
const head = replica.certified();

function shown(options: CertificateOptions = {}, changes: Partial<typeof head> = {}): Shown {
  const { height, size, root, epoch } = { ...head, ...changes };
  return {
    commit: {
      certificate: certificateFor(network, head, options),
      head: { height, size, root, stateRoot: epoch.stateRoot },
    },
    checkpoint: { origin: replica.origin, size, root: head.root },
    operators: [],
  };
}

test('the votes of the validators are for the head that operators cosigned', () => {
  assert.equal(proven(shown(), network.root, network.root).header.height, 2n);
});

test('refused: too few votes, those of others, of another head, and a head that was not cosigned', () => {
  const { nodes: validators, root: otherRoot } = fixtureNetwork({ label: 'other' });
  const other = new Uint8Array(32);
  const { root } = network;
  const refused = (code: string, what: Shown): void =>
    assert.throws(() => proven(what, root, root), { code });
  refused('COMMIT_POWER', shown({ voters: network.nodes.slice(0, 2) }));
  refused('COMMIT_SET', shown({ validators }));
  refused('LEDGER_CERTIFICATE', shown({}, { size: head.size + 1 }));
  const forked = shown();
  refused('NODE_HEAD_FORK', { ...forked, checkpoint: { ...forked.checkpoint, root: other } });
  assert.throws(() => proven(shown(), otherRoot, otherRoot), { code: 'NODE_NO_COMMIT' });
});
