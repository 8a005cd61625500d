/** Mutations of what the consortium engine's own side checks: its sockets, its folder, its calls, what it took. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const FOLDER = 'src/ledger/cometbft';
const APPLICATION = `${FOLDER}/application.test.ts`;
const SERVER = `${FOLDER}/abci-server.test.ts`;
const FRAMING = `${FOLDER}/framing.test.ts`;
const HOME = `${FOLDER}/home.test.ts`;
const SUBMISSIONS = `${FOLDER}/submissions.test.ts`;
const SNAPSHOTS = `${FOLDER}/snapshots.test.ts`;

export const ENGINE_MUTATIONS: readonly Mutation[] = [
  ...mutations('T31', `${FOLDER}/framing.ts`, FRAMING, [
    ['length <= this.#maxFrame', 'true'],
    ['this.#prefix.length < MAX_PREFIX', 'true'],
    ['byte !== 0 || this.#prefix.length === 1', 'true'],
  ]),
  ...mutations('T31', `${FOLDER}/abci-server.ts`, SERVER, [
    ['await chmod(this.#options.path, 0o600);', ''],
    ['if (running) return;', ''],
    ["send({ case: 'exception', value: { error: codeOf(error) ?? 'INTERNAL' } });", ''],
    ['for (const socket of this.#sockets) socket.end();', ''],
    [
      "socket.on('close', () => {",
      "socket.on('close', () => { if (this.#sockets.size > 0) return;",
    ],
  ]),
  ...mutations('T31', `${FOLDER}/application.ts`, APPLICATION, [
    [
      'const member = this.#members().some(({ peer }) => hex(peer) === id);',
      'const member = true;',
    ],
    [', ...consortiumOf(policy.orderer).members]', ']'],
    ['prepared([...own, ...txs],', 'prepared(txs,'],
    ['parsed && goesFirst(parsed);', 'parsed;'],
    ['isAddress ? ACCEPTED : NO_SUCH_PATH', 'ACCEPTED'],
    ['height === position + 1', 'true'],
    ['chainId === start.chainId && initialHeight === 1n', 'true'],
    ["if (!this.#finalized) return fail('ENGINE_HEIGHT', 'nothing to commit');", ''],
    ['if (this.#isKnown(parsed)) return', 'if (parsed.length === 0) return'],
    ['onRefused(parsed.id, refused);', ''],
    ["if (!block) return 'ENGINE_TRANSACTION';", 'if (!block) return undefined;'],
    ["if ('refused' in outcome) return outcome.refused.code;", ''],
    ["if (!isNew(outcome)) return 'LEDGER_REPLAY';", ''],
    ["return 'INTERNAL';", 'return undefined;'],
    ['outcomes === undefined || isNew(outcomes[i])', 'true'],
    ['(each) => !this.#isKnown(each) && !this.#refusal(each)', '() => false'],
    ['isAgain && !this.#leftOut.delete(parsed.id)', 'isAgain'],
    ['isAgain && !this.#leftOut.delete(parsed.id)', 'false'],
    ['this.#leftOut = leftOut;', ''],
    ['this.#shares.goesFirst(group, since);', 'since < 0;'],
  ]),
  ...mutations('T31', `${FOLDER}/proposal.ts`, APPLICATION, [
    ['!parsed || seen.has(parsed.id)', '!parsed'],
    ['if (length > MAX_PROPOSAL) return undefined;', ''],
    ['if (!parsed) return undefined;', 'if (!parsed) continue;'],
    ['if (statements > MAX_TRANSACTIONS) return undefined;', ''],
    ['if (taken.length < chosen.length && attempt < ATTEMPTS) continue;', ''],
    ['length + size > bound || statements + parsed.group.length > BATCH', 'length + size > bound'],
    ['Math.min(maxBytes, MAX_PROPOSAL)', 'MAX_PROPOSAL'],
  ]),
  ...mutations('T31', `${FOLDER}/transaction-cache.ts`, SUBMISSIONS, [
    ['const own = bytes.slice();', 'const own = bytes;'],
  ]),
  ...mutations('T11', `${FOLDER}/submissions.ts`, SUBMISSIONS, [
    ['queueBytes + more.bytes', 'queueBytes'],
    ['now - submitted.refusedAt >= doubt', 'true'],
    ['submitted.refusedAt = now;', 'submitted.refusedAt = -1e9;'],
    ['setTimeout(() => this.#send(submitted), doubt).unref();', ''],
    ['if (!submitted || isBusy(outcome)) continue;', 'if (!submitted) continue;'],
  ]),
  ...mutations('T31', `${FOLDER}/transaction-cache.ts`, APPLICATION, [
    ["if (codeOf(error) === 'ENGINE_TRANSACTION') return undefined;", ''],
  ]),
  ...mutations('T31', `${FOLDER}/block-answer.ts`, APPLICATION, [
    [
      "if (!earlier || 'refused' in earlier) outcomes.set(each.id, outcome);",
      'outcomes.set(each.id, outcome);',
    ],
    ['decision.validatorUpdates.map(', 'decision.validatorUpdates.slice(1).map('],
  ]),
  ...mutations('T31', `${FOLDER}/home.ts`, HOME, [
    ['there === undefined || equal(there, bytes)', 'true'],
    ['if (isNew) replaceDurably', 'if (state) replaceDurably'],
    ["if (isNew) check(!hasVoted(), 'ENGINE_STATE_LOST', undefined, { state });", ''],
  ]),
  ...mutations('T31', `${FOLDER}/member-home.ts`, `${FOLDER}/member-home.test.ts`, [
    ["vote.kind !== 'absent' && equal(vote.address, address)", 'false'],
  ]),
  ...mutations('T31', `${FOLDER}/engine-config.ts`, HOME, [
    ['filter_peers: true', 'filter_peers: false'],
    ['pex: false', 'pex: true'],
  ]),
  ...mutations('T31', `${FOLDER}/sockets.ts`, HOME, [
    ['await chmod(folder, 0o700);', 'await chmod(folder, 0o755);'],
    ['fits ? own : await', 'own !== undefined ? own : await'],
  ]),
  ...mutations('T31', `${FOLDER}/binary.ts`, HOME, [
    ['version !== undefined && VERSIONS.some((each) => each === version)', 'version !== undefined'],
  ]),
  ...mutations('T12', `${FOLDER}/submissions.ts`, SUBMISSIONS, [
    ['pending.keep(submitted.parsed.id, clock(), submitted.bytes);', ''],
    ['if (!submitted || !this.#options.isReady()) return;', 'if (!submitted) return;'],
    ["check(!this.#closed.signal.aborted, 'LEDGER_CLOSED');", ''],
    ['this.#statements + group.length <= queueStatements + more.statements', 'true'],
    ['if (this.#options.isReady()) this.#lane', 'this.#lane'],
    ['if (parsed) this.#add(parsed, bytes);', 'if (!parsed) options.pending.drop([id]);'],
    ['if (submitted.since <= before) this.#send(submitted);', 'void before;'],
  ]),
  ...mutations('T11', `${FOLDER}/watch.ts`, SUBMISSIONS, [
    ['isNew ? now : time', 'now'],
    ['quiet > STALLED && queued() > 0', 'false'],
    ['this.#failed = true;', ''],
    ['restarts() - this.#restartsThen >= MANY_RESTARTS', 'false'],
    ['quiet > STALLED + 2 * emptyEvery', 'false'],
  ]),
  ...mutations('T15', `${FOLDER}/snapshots.ts`, SNAPSHOTS, [
    ['metadata.length === chunks * DIGEST &&', ''],
    ['equal(sha256(metadata), hash)', 'hash.length >= 0'],
    ['chunks <= MAX_CHUNKS &&', ''],
    ['|| replica.enginePosition(chain)', ''],
    [
      'if (!equal(sha256(chunk), digests.subarray(index * DIGEST, (index + 1) * DIGEST)))',
      'if (index < 0)',
    ],
    ['|| index !== restoring.next', ''],
  ]),
];
