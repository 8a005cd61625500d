/** Resolves at the first SIGTERM or SIGINT, or when standard input ends if it is a pipe that was asked to matter. */
export async function untilStopped(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGTERM', () => resolve());
  process.once('SIGINT', () => resolve());
  // The parent that started us with this variable is gone when its end of the pipe closes.
  const withStdin = process.env['FIRMAMENT_STOP_WITH_STDIN'] === '1';
  if (withStdin) process.stdin.once('close', () => resolve()).resume();
  await promise;
  // An open pipe would keep this process from ending.
  if (withStdin) process.stdin.destroy();
}
