import type { Counters, State } from './stats';

/** How many states are remembered. */
const longest = 200;

/** Journal keeps what happened on a page: its states one after another, and what went wrong. */
export class Journal {
  readonly counters: Counters = {
    stalls: 0,
    absences: 0,
    opened: 0,
    networkErrors: 0,
    mediaErrors: 0,
    otherErrors: 0,
    fatalErrors: 0,
  };
  private readonly states: { state: State; at: number }[] = [{ state: 'connecting', at: 0 }];
  private current: State = 'connecting';
  private error = '';

  /** The state that was entered last. */
  get state(): State {
    return this.current;
  }

  /** All states so far, with their times in ms since the page was opened. */
  get history(): { state: State; at: number }[] {
    return this.states.map((entry) => ({ ...entry }));
  }

  /** What went wrong last, '' when nothing has. */
  get lastError(): string {
    return this.error;
  }

  /** Enters a state; false when it is the present one already. */
  enter(state: State): boolean {
    if (state === this.current) return false;
    this.current = state;
    this.states.push({ state, at: Math.round(performance.now()) });
    if (this.states.length > longest) this.states.shift();
    return true;
  }

  /** Takes note of something that went wrong. */
  failed(kind: 'network' | 'media' | 'other', detail: string, fatal: boolean): void {
    this.counters[`${kind}Errors`]++;
    if (fatal) this.counters.fatalErrors++;
    this.error = detail;
  }
}
