/** Mutations of what stands between a gateway and whoever is on its network: certificates, codes, sessions, topics, sizes. */
import type { Mutation } from './mutations.ts';

const BROKER = 'src/gateway/broker.ts';

function mutations(
  rule: string,
  file: string,
  test: string,
  pairs: readonly (readonly [find: string, replace: string])[],
): readonly Mutation[] {
  return pairs.map(([find, replace]) => ({ rule, file, find, replace, tests: [test] }));
}

export const GATEWAY_EDGE_MUTATIONS: readonly Mutation[] = [
  ...mutations('T29', 'src/net/authority.ts', 'src/net/authority.test.ts', [
    ["if (!equal(digest(root.raw), rootSha256)) return 'its root is another';", ''],
    [
      "if (!leaf.keyUsage?.includes(SERVER_AUTH)) return 'its certificate is not for a server';",
      '',
    ],
    ["if (named === undefined) return 'its certificate is for another address';", ''],
    [
      "return isValidAt(leaf, now) && isValidAt(root, now)\n    ? undefined\n    : 'its certificate is not valid now';",
      'return undefined;',
    ],
    ['if (leaf.ca || !leaf.checkIssued(root) || !leaf.verify(root.publicKey))', 'if (leaf.ca)'],
    [
      "check(await request.verify(webcrypto), 'NET_REQUEST_INVALID', 'not signed by its own key');",
      '',
    ],
    ["check(key.asymmetricKeyDetails?.namedCurve === 'prime256v1', 'NET_KEY_UNSUPPORTED');", ''],
    ['certificate.verify(ca.publicKey) &&', ''],
    ['new x509.ExtendedKeyUsageExtension([usage]),', ''],
  ]),
  ...mutations('T29', 'src/gateway/enrolment-codes.ts', 'src/gateway/enrolment.test.ts', [
    ["check(Number(changes) === 1, 'ENROLMENT_CODE_INVALID');", ''],
    ["check(row !== undefined, 'ENROLMENT_CODE_INVALID');", ''],
    [
      'WHERE hash = ? AND device IS NULL AND expires > ? AND (model IS NULL OR model = ?)`,\n        )\n        .run(device',
      'WHERE hash = ? AND expires > ? AND (model IS NULL OR model = ?)`,\n        )\n        .run(device',
    ],
    [
      '.run(hashOf(code), model, now + lifetime)',
      '.run(new TextEncoder().encode(code), model, now + lifetime)',
    ],
  ]),
  ...mutations('T29', 'src/gateway/enrolment.ts', 'src/gateway/enrolment.test.ts', [
    ['if (!equal(spent.spkiSha256, spkiSha256)) return undefined;', ''],
    [
      "check(equal(asked.spkiSha256, spkiSha256), 'ENROLMENT_CSR_INVALID', 'the CSR has another key');",
      '',
    ],
    ["return devices.get(id)?.status === 'active' ? id : undefined;", 'return id;'],
  ]),
  ...mutations('T29', 'src/gateway/enrolment-routes.ts', 'src/gateway/enrolment.test.ts', [
    ['failures.barred(address) > 0', 'false'],
    [
      'vendors.find(({ certificatePem }) => isIssuedBy(certificate, certificatePem, clock()))',
      'vendors[0]',
    ],
  ]),
  ...mutations('T25', 'src/gateway/device-tls.ts', 'src/gateway/broker.test.ts', [
    [
      'return socket.authorized ? activeDevice(devices, shown) : undefined;',
      'return activeDevice(devices, shown);',
    ],
  ]),
  ...mutations('T25', BROKER, 'src/gateway/broker.test.ts', [
    ['packet.clientId = id;', ''],
    ['packet.clean = true;', ''],
    [
      'done(null, isOwn(client.id, subscription.topic, DOWNWARD) ? subscription : null)',
      'done(null, subscription)',
    ],
    [
      'if (!client || !target || !isOwn(client.id, packet.topic, UPWARD)) return done(refused());',
      'if (!client || !target) return done(refused());',
    ],
    ['if (this.#messages.take(client.id) > 0) return done(refused());', ''],
    [
      'this.#unlisten = devices.onRevoked((id) => this.disconnect(id));',
      'this.#unlisten = () => {};',
    ],
    ['guardSizes(socket);', ''],
    ['!this.#mayWill(id, packet.will?.topic)', 'false'],
  ]),
  ...mutations('T25', BROKER, 'src/gateway/broker-limits.test.ts', [
    ['guardBacklog(socket, this.#limits.backlog);', ''],
    ['if (count > this.#limits.perAddress) {', 'if (false) {'],
    ['device === undefined || this.#sessions.take(device) > 0', 'device === undefined'],
    ['maxInflightInbound: MAX_HALF_DONE,', ''],
    ['connectTimeout: connect,', ''],
  ]),
  ...mutations('T25', 'src/gateway/packet-guard.ts', 'src/gateway/packet-guard.test.ts', [
    ["check(this.#length <= bound, 'GATEWAY_BROKER_REFUSED', 'packet too large');", ''],
    ["check(!this.#first || byte >> 4 === CONNECT, 'GATEWAY_BROKER_REFUSED', 'no CONNECT');", ''],
  ]),
  ...mutations('T14', 'src/gateway/sntp.ts', 'src/gateway/sntp.test.ts', [
    ['answer[1] = synchronised ? STRATUM : 16;', 'answer[1] = STRATUM;'],
    ['limiter.take(clientAddress(from.address)) > 0', 'false'],
    ['packet.length === PACKET && (first & 7) === CLIENT', 'packet.length === PACKET'],
  ]),
];
