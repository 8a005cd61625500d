/** The demo's picture: on a terminal it is drawn over below the story's lines; elsewhere there are only lines. */

export interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

const EVERY_MS = 100;
const CLEAR_DOWN = '\u001b[0J';
const up = (lines: number): string => (lines > 0 ? `\u001b[${lines}A` : '');
const BOLD = '\u001b[1m';
const RED = '\u001b[31m';
const GREEN = '\u001b[32m';
const PLAIN = '\u001b[0m';

export class Screen implements Disposable {
  readonly #terminal: Terminal;
  readonly #picture: () => readonly string[];
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;
  #last = 0;
  #closed = false;

  /** `picture`: the lines as they are now. */
  constructor(terminal: Terminal, picture: () => readonly string[]) {
    this.#terminal = terminal;
    this.#picture = picture;
  }

  get isLive(): boolean {
    return this.#terminal.isTTY === true;
  }

  /** The story is over. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** A line of the story. */
  say(line: string, as: 'plain' | 'title' | 'good' | 'bad' = 'plain'): void {
    const color = { plain: '', title: BOLD, good: GREEN, bad: RED }[as];
    this.#erase();
    this.#terminal.write(this.isLive && color !== '' ? `${color}${line}${PLAIN}\n` : `${line}\n`);
    this.#draw();
  }

  /** Something in the picture has changed. */
  refresh(): void {
    if (!this.isLive || this.#closed || this.#timer) return;
    const wait = Math.max(0, this.#last + EVERY_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#erase();
      this.#draw();
    }, wait);
  }

  /** The picture stays as it is; what is said from now on comes below it. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawn = 0;
    this.#closed = true;
  }

  #erase(): void {
    if (!this.isLive || this.#drawn === 0) return;
    this.#terminal.write(`\r${up(this.#drawn)}${CLEAR_DOWN}`);
    this.#drawn = 0;
  }

  #draw(): void {
    if (!this.isLive || this.#closed) return;
    const width = Math.max(20, (this.#terminal.columns ?? 80) - 1);
    const lines = this.#picture().map((line) => line.slice(0, width));
    if (lines.length > 0) this.#terminal.write(`${lines.join('\n')}\n`);
    this.#drawn = lines.length;
    this.#last = performance.now();
  }
}
