/** Mutations of what a device behind a gateway checks for itself. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const T29 = 'test/attacks/T29-gateway.test.ts';
const T14 = 'test/attacks/T14-gateway-clock.test.ts';
const SNTP = 'src/device/sntp-client.test.ts';
const LINK = 'src/device/gateway-link.test.ts';
const CUT = 'src/device/power-cut.test.ts';
const SINGLE = 'src/device/single-slot.test.ts';
const LOCK = 'src/device/lock.test.ts';
const OFFERED_CUT = 'test/e2e/gateway-power-cut.test.ts';

export const GATEWAY_DEVICE_MUTATIONS: readonly Mutation[] = [
  ...mutations('T29', 'src/device/enrolment.ts', T29, [
    ['checkUnprovisioned(Object.keys(answer), ANSWER_FIELDS);', ''],
    ["new URLSearchParams(options.bundle.trim().split('?')[1]).keys(),", '[],'],
    [
      "check(equal(certificateSha256(rootPem), rootHash), CODE, 'another root than the bundle names');",
      '',
    ],
    ["check(id === device, CODE, 'the certificate is for another key');", ''],
    ["check(modelFits, 'ENROLMENT_BUNDLE_INVALID', 'the code is for another model');", ''],
  ]),
  ...mutations('T17', 'src/device/order.ts', T29, [
    ['choices.filter((choice) => equal(choice.digest, digest))', 'choices'],
  ]),
  ...mutations('T14', 'src/device/gateway-clock.ts', T14, [
    ['if (synchronised) heard', 'heard'],
    ['if (!heard) return unset ? undefined : exact;', 'if (!heard) return exact;'],
    ['<= AGREE_MS ? exact : heard', '<= Infinity ? exact : heard'],
    ['always || own() < floor()', 'true'],
    ["best() && lost() ? 'gateway clock' : 'own clock'", "'own clock'"],
  ]),
  ...mutations('T14', 'src/trust/freshness.ts', T14, [
    ['clock: name }, time }', "clock: 'own clock' }, time }"],
  ]),
  ...mutations('T14', 'src/device/sntp-client.ts', SNTP, [
    ['packet.length !== PACKET ||', ''],
    ['|| !equal(packet.subarray(24, 32), nonce)', ''],
    ['(first & 7) !== SERVER ||', ''],
    ['|| ((first >> 3) & 7) !== VERSION', ''],
    ['first >> 6 !== UNSYNCHRONISED &&', ''],
    ['stratum >= 1 &&', ''],
    ['&& stratum <= MAX_STRATUM', ''],
    ["check(near, CODE, 'the server is too far from its reference');", ''],
    ["check(short, CODE, 'the answer was too long on its way');", ''],
    ['else if (++seen >= MAX_DATAGRAMS)', 'else if (++seen >= Infinity)'],
  ]),
  ...mutations('T29', 'src/device/gateway-link.ts', LINK, [
    ['if (parsed?.device !== device) return;', 'if (!parsed) return;'],
    ['if (payload.length <= MAX_PACKET) hear', 'hear'],
    ['if (since > 4 * MAX_PACKET) client.stream.destroy();', ''],
    ['    boundPackets(client);\n', ''],
  ]),
  ...mutations('T19', 'src/device/swap.ts', CUT, [
    ['    await files.sync(to);\n', ''],
    ['    await files.sync(journal);\n', ''],
    [
      'if ((await files.size(slot)) === undefined) await files.write(slot, 0, new Uint8Array());',
      '',
    ],
  ]),
  ...mutations('T19', 'src/device/swap.ts', SINGLE, [
    ['swap.block + growth + RECORD_ROOM', 'swap.block'],
    ['    await files.truncate(join(folder, name), size);\n', ''],
  ]),
  ...mutations('T19', 'src/device/slots.ts', SINGLE, [
    ["check(fits, 'DEVICE_STATE_CORRUPT', 'the slots are not as the device was made');", ''],
  ]),
  ...mutations('T19', 'src/device/lock.ts', LOCK, [
    ['openDatabase(join(directory, FILE), { busyTimeout: WAIT_MS })', "openDatabase(':memory:')"],
  ]),
  ...mutations('T17', 'src/device/device.ts', OFFERED_CUT, [
    ['await rememberConfirmed(slots, state)', 'await Promise.resolve()'],
  ]),
];
