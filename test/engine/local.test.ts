import { test } from 'node:test';
import { startLocalEngine } from '../../src/testing/engine/local-engine.ts';
import { engineSuite } from '../../src/testing/engine/suite.ts';

test('the local engine: an orderer and two followers', (t) => engineSuite(t, startLocalEngine));
