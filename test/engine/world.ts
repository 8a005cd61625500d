/** Turns random moves into signed statements, right ones and hostile ones. */
import {
  declareStatement,
  registerStatement,
  withdrawStatement,
} from '../../src/author/statements.ts';
import {
  delegation,
  revocation,
  rotation,
  transfer,
  type KeyChange,
} from '../../src/author/key-changes.ts';
import { concat } from '../../src/bytes.ts';
import { thumbprint } from '../../src/cose/key.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import type { Root } from '../../src/registry/root.ts';
import { parseStatement, type Statement, type Transaction } from '../../src/registry/statement.ts';
import {
  fixtureAuthor,
  fixtureKey,
  fixtureLine,
  holdStatement,
  type FixtureAuthor,
  type FixtureNetwork,
  type FixtureNode,
} from '../../src/testing/fixture.ts';
import { changedPolicy } from '../../src/testing/governance.ts';
import { acceptance, recoveryStatement } from '../../src/testing/key-fixture.ts';
import {
  fixtureAnchor,
  fixtureRelease,
  type FixtureRelease,
} from '../../src/testing/release-fixture.ts';
import { reportBatchStatement } from '../../src/registry/rules/report-batch.ts';
import { lineKey, type Line } from '../../src/registry/line.ts';
import { getAnchor, getRelease, policyInForce } from '../../src/registry/state.ts';
import type { View } from '../../src/registry/view.ts';
import type { GroupMove, Move, Twist } from './move.ts';

const AUTHORS = 8;
/** Of these authors nobody hears before a move registers them. */
const UNHEARD = 2;
const MODELS = 3;
/** Out of so many newest releases one is chosen to be anchored, held or withdrawn. */
const RECENT = 5;
const OTHER_NETWORK = new Uint8Array(32).fill(9);
/** The order of P-256. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

interface Published {
  readonly author: FixtureAuthor;
  readonly release: FixtureRelease;
}

export class World {
  readonly #network: FixtureNetwork;
  /** What is committed at the time of the call. */
  readonly #view: () => View;
  readonly #authors: readonly FixtureAuthor[];
  readonly #sent: Transaction[] = [];
  readonly #groups: (readonly Transaction[])[] = [];
  #published: Published[] = [];
  #anchored: Published[] = [];
  readonly #sequences = new Map<string, bigint>();
  #counter = 10n;

  constructor(network: FixtureNetwork, view: () => View) {
    this.#network = network;
    this.#view = view;
    this.#authors = Array.from({ length: AUTHORS }, (_, i) =>
      fixtureAuthor(network.genesis.networkId, {
        name: `author ${i}`,
        curve: i % 2 === 0 ? 'Ed25519' : 'P-256',
      }),
    );
  }

  /** What lets most of the moves succeed: authors with their lines. */
  prologue(): readonly (readonly Transaction[])[] {
    return this.#authors
      .slice(0, -UNHEARD)
      .map((author) => [
        plain(register(author)),
        ...Array.from({ length: MODELS }, (_, model) =>
          plain(
            declareStatement(author, this.#next(), fixtureLine(author.author, `model ${model}`)),
          ),
        ),
      ]);
  }

  /** A block's groups. */
  groups(moves: readonly GroupMove[]): readonly (readonly Transaction[])[] {
    const made = moves.map((move) => ('forged' in move ? [] : this.#group(move)));
    // A forged group is one that follows it, with something changed that is no part of what was signed.
    return moves.map((move, at) => {
      const copied = 'forged' in move ? made.slice(at).find(({ length }) => length > 0) : undefined;
      if (!copied || !('forged' in move)) return made[at] ?? [];
      return copied.map((each) => twisted(each, move.forged));
    });
  }

  #group(move: Exclude<GroupMove, { readonly forged: unknown }>): readonly Transaction[] {
    const again = 'again' in move ? this.#groups[move.again % this.#groups.length] : undefined;
    const made =
      again ?? ('moves' in move ? move.moves.map((each) => this.#transaction(each)) : []);
    this.#groups.push(made);
    this.#sent.push(...made);
    return made;
  }

  /** After a block: what was refused is forgotten, or most of what refers to it would be refused too. */
  settle(): void {
    const view = this.#view();
    this.#published = this.#published.filter(
      ({ release: { line, digest } }) => getRelease(view, lineKey(line), digest) !== undefined,
    );
    this.#anchored = this.#anchored.filter(({ release: { line, digest, image } }) =>
      getAnchor(view, { line: lineKey(line), release: digest, image: image.digest }),
    );
  }

  #root(): Root {
    return policyInForce(this.#view());
  }

  #transaction(move: Move): Transaction {
    return twisted(this.#made(move), move.twist);
  }

  #made(move: Move): Transaction {
    const { act, about, twist } = move;
    const author = this.#signer(move);
    const line = this.#line(move);
    switch (act) {
      case 'register':
        return plain(register(author));
      case 'declare':
        return plain(this.#declare(author, move));
      case 'release':
        return this.#release(author, line, twist);
      case 'delegate release': {
        const key = delegateKey(about);
        return this.#release({ ...author, key, author: thumbprint(key.publicKey) }, line, twist);
      }
      case 'anchor':
      case 'hold':
      case 'drop':
      case 'withdraw':
        return plain(this.#aboutRelease(move, author));
      case 'rotate':
        return this.#recovery(author, twist, rotation(author.author, rotated(author, about)));
      case 'revoke': {
        const keyId = thumbprint(spareKey(author, about % 2).publicKey);
        return this.#recovery(author, twist, revocation(author.author, keyId, about % 40));
      }
      case 'delegate':
        return this.#recovery(
          author,
          twist,
          delegation(line, delegateKey(about).publicKey, about % 3 !== 0),
        );
      case 'transfer': {
        const heir = this.#authors[about % AUTHORS] as FixtureAuthor;
        return this.#recovery(
          author,
          twist,
          transfer(line, heir.author, acceptance(heir, line, author)),
        );
      }
      case 'policy':
        return plain(this.#policy(about, twist));
      case 'batch':
        return plain(this.#batch(move));
      case 'replay':
      default:
        return this.#sent[about % Math.max(1, this.#sent.length)] ?? plain(register(author));
    }
  }

  #signer({ by, twist }: Move): FixtureAuthor {
    const author = this.#authors[by % AUTHORS] as FixtureAuthor;
    return twist === 'network' ? { ...author, networkId: OTHER_NETWORK } : author;
  }

  #line({ by, about, twist }: Move): Line {
    const owner = this.#authors[(twist === 'foreign' ? by + 1 : by) % AUTHORS] as FixtureAuthor;
    return fixtureLine(owner.author, `model ${about % MODELS}`);
  }

  #next(twist: Twist = 'none'): bigint {
    return twist === 'counter' ? 1n : this.#counter++;
  }

  // One of the lines that are there from the start, or a new one.
  #declare(author: FixtureAuthor, move: Move): Statement {
    const { about, twist } = move;
    const known = about % 4 === 0 || twist === 'foreign';
    const line = known ? this.#line(move) : fixtureLine(author.author, `model ${about}`);
    return declareStatement(author, this.#next(twist), line);
  }

  #release(author: FixtureAuthor, line: Line, twist: Twist): Transaction {
    const name = `${line.vendor.toHex()}${line.class.toHex()}${line.author.toHex()}`;
    const last = this.#sequences.get(name) ?? 0n;
    const sequence = twist === 'counter' ? last : last + (twist === 'huge' ? 1n << 33n : 1n);
    if (twist !== 'huge' && twist !== 'counter') this.#sequences.set(name, sequence);
    const { networkId, ...signer } = author;
    const release = fixtureRelease(
      twist === 'no network' ? signer : { ...signer, networkId },
      line,
      sequence > 0n ? sequence : 1n,
      via(this.#published.at(-1), twist),
    );
    this.#published.push({ author, release });
    return { statement: release.statement, attachment: release.attachment };
  }

  #aboutRelease({ act, by, about, twist }: Move, other: FixtureAuthor): Statement {
    const some = act === 'hold' || act === 'drop' ? this.#anchored : this.#published;
    const found = some.at(-1 - (about % Math.max(1, Math.min(RECENT, some.length))));
    if (!found) return register(other);
    const { release, author } = found;
    const { digest, line } = release;
    const { networkId } = this.#network.genesis;
    const signer = twist === 'foreign' ? other : author;
    const counter = this.#next(twist);
    if (act === 'anchor') this.#anchored.push(found);
    if (act === 'anchor')
      return fixtureAnchor(signer, counter, release, twist === 'huge' ? { size: 1 } : {});
    if (act === 'withdraw') {
      const lowest = twist === 'huge' ? 1n << 40n : BigInt(about % 3);
      return withdrawStatement(signer, counter, line, { release: digest, lowest, reason: 'x' });
    }
    const { nodes } = this.#network;
    const node = nodes[by % nodes.length] as FixtureNode;
    const hold = { line, release: digest, image: release.image.digest };
    const until = twist === 'huge' ? 1 << 30 : 1 << 20;
    return holdStatement(node, networkId, counter, act === 'hold' ? { ...hold, until } : hold);
  }

  // Of two by one node in a minute the second is refused; a foreign one names another node than signs.
  #batch({ by, about, twist }: Move): Statement {
    const { nodes } = this.#network;
    const { networkId } = this.#network.genesis;
    const node = nodes[by % nodes.length] as FixtureNode;
    const signer = twist === 'foreign' ? (nodes[(by + 1) % nodes.length] as FixtureNode) : node;
    const network = twist === 'network' ? OTHER_NETWORK : networkId;
    const root = new Uint8Array(twist === 'huge' ? 33 : 32).fill(about);
    return reportBatchStatement(signer.statement, node.name, network, this.#next(twist), root);
  }

  #recovery(author: FixtureAuthor, twist: Twist, change: KeyChange): Transaction {
    const signers = twist === 'few signers' ? [author.key as PrivateKey] : author.recovery;
    return plain(recoveryStatement(author, this.#next(twist), change, signers));
  }

  #policy(about: number, twist: Twist): Statement {
    const root = twist === 'counter' ? this.#before() : this.#root();
    const approvers = this.#network.operators.slice(0, twist === 'few signers' ? 1 : undefined);
    const { operator, node } = this.#network.orderer;
    const changes =
      twist === 'huge'
        ? { orderer: { engine: 'local', operator, node } as const }
        : { maxHold: 3600 + (about % 100) };
    return changedPolicy(root, changes, approvers).statement;
  }

  /** A root whose next version is never the one that is due. */
  #before(): Root {
    const root = this.#root();
    return { ...root, policy: { ...root.policy, version: root.policy.version + 1 } };
  }
}

function plain(statement: Statement): Transaction {
  return { statement, attachment: null };
}

function register(author: FixtureAuthor): Statement {
  const recovery = author.recovery.map((key) => key.publicKey);
  return registerStatement(author, 1n, { name: author.name, recovery, threshold: 1 });
}

function spareKey(author: FixtureAuthor, which: number): PrivateKey {
  return fixtureKey(`${author.name} spare ${which}`, 'P-256');
}

/** The first release key stays, so that the author goes on; a spare one comes or goes. */
function rotated(author: FixtureAuthor, about: number): readonly PrivateKey['publicKey'][] {
  const spare = about % 3 === 2 ? [] : [spareKey(author, about % 3).publicKey];
  return [author.key.publicKey, ...spare];
}

function delegateKey(about: number): PrivateKey {
  return fixtureKey(`delegate ${about % 2}`);
}

function via(last: Published | undefined, twist: Twist): { readonly via?: Uint8Array } {
  return twist === 'foreign' && last ? { via: last.release.digest } : {};
}

function twisted({ statement, attachment }: Transaction, twist: Twist): Transaction {
  return { statement: tampered(statement, twist), attachment: swapped(attachment, twist) };
}

function tampered(statement: Statement, twist: Twist): Statement {
  const { bytes } = statement;
  if (twist === 'signature') return parseStatement(flipped(bytes));
  if (twist !== 'high s') return statement;
  // The signature's last 32 bytes are the message's: of an Ed25519 one this makes another that does not verify.
  const s = BigInt(`0x${bytes.slice(-32).toHex()}`);
  const high = (ORDER - (s % ORDER)).toString(16).padStart(64, '0');
  return parseStatement(concat(bytes.subarray(0, -32), Uint8Array.fromHex(high)));
}

function swapped(attachment: Uint8Array | null, twist: Twist): Uint8Array | null {
  if (twist !== 'attachment') return attachment;
  return attachment ? flipped(attachment) : new Uint8Array(5);
}

function flipped(bytes: Uint8Array): Uint8Array {
  const last = bytes.length - 1;
  return bytes.with(last, (bytes[last] ?? 0) ^ 1);
}
