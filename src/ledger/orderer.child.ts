/**
 * A process of its own that orders declarations until it is killed, for crash tests: it prints
 * `HEIGHT INDEX MODEL` of each only once it is acknowledged. Its argument is the database's path.
 */
import { codeOf } from '../errors.ts';
import { fixtureNetwork } from '../testing/fixture.ts';
import { declaration, openedReplica, registeredAuthor, SILENT } from '../testing/ledger-fixture.ts';
import { createLocalLedger } from './local.ts';

const network = fixtureNetwork({ operators: 1 });
const { author, group } = registeredAuthor(network, 'acme');
const { replica } = openedReplica(network, process.argv[2]);
const ledger = createLocalLedger({
  replica,
  key: network.orderer.statement,
  clock: () => network.genesis.time,
  logger: SILENT,
});

await ledger.submit(group);
process.stdout.write('ready\n');
// An author's counters only grow, so each round of three shares a block in its order.
for (let model = replica.head().size; ; model += 3) {
  await Promise.all(
    [model, model + 1, model + 2].map(async (one) => {
      try {
        const [place] = await ledger.submit([declaration(author, one)]);
        process.stdout.write(`${place?.height} ${place?.index} ${one}\n`);
      } catch (error) {
        process.stdout.write(`refused ${one} ${codeOf(error)}\n`);
      }
    }),
  );
}
