/**
 * Writes src/proto from proto: `npm run generate-proto`. Needs the network once, for npx to fetch the two
 * pinned tools; the project itself runs without them (docs/decisions/generated-protobuf.md).
 */
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const BUF = '@bufbuild/buf@1.75.0';
/** Same version as the run-time package: generated code and its reader belong together. */
const PLUGIN = '@bufbuild/protoc-gen-es@2.17.0';

const root = join(import.meta.dirname, '..');
const out = join('src', 'proto');
const fresh = `${out}.new`;

const template = {
  version: 'v2',
  // The options of gogoproto steer Go code only; without them nothing of it needs to be generated.
  inputs: [{ directory: 'proto', exclude_types: ['gogoproto'] }],
  plugins: [{ local: 'protoc-gen-es', out: fresh, opt: ['target=js+dts', 'import_extension=js'] }],
};

rmSync(join(root, fresh), { recursive: true, force: true });
const args = ['--yes', '-p', BUF, '-p', PLUGIN, 'buf', 'generate', '--template'];
const run = spawnSync('npx', [...args, JSON.stringify(template)], { cwd: root, stdio: 'inherit' });
if (run.status !== 0) throw new Error(`buf generate failed (exit ${run.status ?? run.signal})`);
rmSync(join(root, out), { recursive: true, force: true });
renameSync(join(root, fresh), join(root, out));
