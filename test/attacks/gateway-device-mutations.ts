/** Mutations of what a device behind a gateway checks for itself. */
import type { Mutation } from './mutations.ts';

const T29 = 'test/attacks/T29-gateway.test.ts';
const T14 = 'test/attacks/T14-gateway-clock.test.ts';

function mutations(
  rule: string,
  file: string,
  test: string,
  pairs: readonly (readonly [find: string, replace: string])[],
): readonly Mutation[] {
  return pairs.map(([find, replace]) => ({ rule, file, find, replace, tests: [test] }));
}

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
  ...mutations('T17', 'src/device/agent.ts', T29, [
    ['choices.filter((choice) => equal(choice.digest, digest))', 'choices'],
  ]),
  ...mutations('T14', 'src/device/gateway-clock.ts', T14, [
    ['if (synchronised) heard', 'heard'],
    ['always || own() < floor()', 'true'],
    ["heard && lost() ? 'gateway clock' : 'own clock'", "'own clock'"],
  ]),
  ...mutations('T14', 'src/trust/freshness.ts', T14, [
    ['clock: name }, time }', "clock: 'own clock' }, time }"],
  ]),
];
