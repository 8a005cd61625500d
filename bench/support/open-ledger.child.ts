/** Prints how many milliseconds it takes to open a ledger: `open-ledger.child.ts LEDGER_DB GENESIS`. */
import { readFileSync } from 'node:fs';
import { openDatabase } from '../../src/database.ts';
import { openReplica } from '../../src/ledger/replica.ts';
import { parseGenesis } from '../../src/registry/genesis.ts';

const [path = '', genesis = ''] = process.argv.slice(2);
const parsed = parseGenesis(new Uint8Array(readFileSync(genesis)));
const began = performance.now();
const database = openDatabase(path);
const { size } = openReplica(database, parsed).head();
const ms = performance.now() - began;
database.close();
if (size > 0) console.log(ms);
