/** Answers that a terminal shows as they are. */
import type { Json } from '../suit/inspect.ts';

/** Controls, format characters and separators as \u escapes: a terminal would obey or hide them. */
export function terminalJson(value: Json, indent = 0): string {
  return JSON.stringify(value, null, indent).replaceAll(HIDDEN, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

// A newline is of the indentation: inside a string JSON has it escaped already.
const HIDDEN = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu;

/** An answer that is printed as it is: text made for people, escaped already. */
export class Lines {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}
