/** Where a passphrase comes from. */
import { readFile } from 'node:fs/promises';
import { wrong, type Arguments } from './arguments.ts';

/** A passphrase: of a file's first line, of FIRMAMENT_PASSPHRASE, or typed without echo. Errors: UsageError. */
export async function passphraseOf(
  given: Arguments,
  prompt: string,
  options: { readonly option?: string; readonly twice?: boolean } = {},
): Promise<string> {
  const { option = 'passphrase-file', twice = false } = options;
  const file = given.text(option);
  if (file !== undefined) return firstLine(await readFile(file, 'utf8'));
  const fromEnvironment = process.env['FIRMAMENT_PASSPHRASE'];
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (!process.stdin.isTTY) {
    return wrong(`a passphrase is needed: --${option} FILE or FIRMAMENT_PASSPHRASE`);
  }
  const passphrase = await typed(prompt);
  if (twice && (await typed('Once more: ')) !== passphrase) wrong('the two are not the same');
  return passphrase;
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}

async function typed(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  let line = '';
  try {
    for await (const key of stdin.iterator({ destroyOnReturn: false })) {
      for (const character of String(key)) {
        if (character === '\r' || character === '\n') return line;
        if (character === '\u0003' || character === '\u0004') return wrong('given up');
        if (character === '\u007f' || character === '\b') line = line.slice(0, -1);
        else line += character;
      }
    }
    return line;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}
