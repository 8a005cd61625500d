import { startLocalEngine } from '../../src/testing/engine/local-engine.ts';
import { engineSuite } from '../../src/testing/engine/suite.ts';

engineSuite('the local engine: an orderer and two followers', startLocalEngine);
