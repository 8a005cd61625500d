/**
 * The folder in which `npm run` was typed. npm starts its scripts in the package's folder and names the other one in
 * INIT_CWD; paths on the command line are meant relative to that. Undefined when npm did not start this program.
 */
export function startFolder(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const script = env['npm_lifecycle_event'];
  const ours =
    env['npm_package_name'] === 'firmament' && (script === 'firmament' || script === 'demo');
  return ours ? env['INIT_CWD'] : undefined;
}
