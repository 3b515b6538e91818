import type { State } from './stats';
import type { Strings } from './strings';

/** Words tells what the page says in a state: a headline and a line below it, '' for nothing. reason is why a viewer was turned away. */
export function words(state: State, strings: Strings, reason = ''): { headline: string; detail: string } {
  switch (state) {
    case 'playing':
      return { headline: '', detail: '' };
    case 'waiting':
      return { headline: strings.waiting, detail: strings.waitingMore };
    case 'away':
      return { headline: strings.away, detail: strings.awayMore };
    case 'ended':
      return { headline: strings.ended, detail: strings.endedMore };
    case 'refused':
      return refused(reason, strings);
    case 'unsupported':
      return { headline: strings.unsupported, detail: strings.unsupportedMore };
    default:
      return { headline: strings[state], detail: '' };
  }
}

/** What a viewer reads whom the node turned away. What it has no words for is a link that does not work. */
function refused(reason: string, s: Strings): { headline: string; detail: string } {
  switch (reason) {
    case 'expired':
    case 'unknown_key':
      return { headline: s.expired, detail: s.expiredMore };
    case 'missing':
      return { headline: s.unsigned, detail: s.unsignedMore };
    case 'wrong_country':
    case 'unknown_country':
      return { headline: s.notHere, detail: '' };
    case 'too_many_viewers':
      return { headline: s.full, detail: s.fullMore };
    default:
      return { headline: s.badLink, detail: s.badLinkMore };
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

  show(state: State, reason = ''): void {
    const said = words(state, this.strings, reason);
    this.stage.dataset['state'] = state;
    // Only what differs is written, or it would be read out again.
    if (this.headline.textContent !== said.headline) this.headline.textContent = said.headline;
    if (this.detail.textContent !== said.detail) this.detail.textContent = said.detail;
  }
}
