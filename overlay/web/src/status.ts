import type { State } from './stats';
import type { Strings } from './strings';

/** Words tells what the page says in a state: a headline and a line below it, '' for nothing. */
export function words(state: State, strings: Strings): { headline: string; detail: string } {
  switch (state) {
    case 'playing':
      return { headline: '', detail: '' };
    case 'waiting':
      return { headline: strings.waiting, detail: strings.waitingMore };
    case 'away':
      return { headline: strings.away, detail: strings.awayMore };
    case 'ended':
      return { headline: strings.ended, detail: strings.endedMore };
    case 'unsupported':
      return { headline: strings.unsupported, detail: strings.unsupportedMore };
    default:
      return { headline: strings[state], detail: '' };
  }
}

/** Status shows the player's state in the middle of the stage and says it to screen readers. */
export class Status {
  constructor(
    private readonly stage: HTMLElement,
    private readonly headline: HTMLElement,
    private readonly detail: HTMLElement,
    private readonly strings: Strings,
  ) {}

  show(state: State): void {
    const said = words(state, this.strings);
    this.stage.dataset['state'] = state;
    // Only what differs is written, or it would be read out again.
    if (this.headline.textContent !== said.headline) this.headline.textContent = said.headline;
    if (this.detail.textContent !== said.detail) this.detail.textContent = said.detail;
  }
}
