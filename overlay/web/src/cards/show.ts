import { attach, type Cards, type Feed, type Options } from '../../sdk';
import { CardLayer } from './layer';
import { wordsFor } from './words';

/** ShowCards brings the cards of a stream from whichever source plays it to the layer over its picture. */
export class ShowCards {
  private cards: Cards | null = null;
  private readonly layer: CardLayer;

  constructor(
    private readonly video: HTMLVideoElement,
    root: HTMLElement,
    private readonly options: Options & { readonly languages: readonly string[] },
  ) {
    this.layer = new CardLayer(root, wordsFor(options.languages), () => this.cards?.date() ?? new Date());
  }

  /** Goes on with a source that is about to be opened. */
  follow(feed: Feed): void {
    if (this.cards) this.cards.use(feed);
    else this.begin(attach(this.video, feed, this.options));
  }

  /** The show is over, or there is none. */
  over(): void {
    this.cards?.clear();
  }

  private begin(cards: Cards): void {
    this.cards = cards;
    cards.addEventListener('prepare', ({ card }) => {
      if (card.image) new Image().src = card.image;
    });
    cards.addEventListener('show', ({ slot, card }) => this.layer.show(slot, card));
    cards.addEventListener('update', ({ slot, card }) => this.layer.show(slot, card));
    cards.addEventListener('hide', ({ slot }) => this.layer.hide(slot));
    cards.addEventListener('rejected', ({ reason, mediaTime }) =>
      console.warn(`A state of the cards at ${mediaTime.toFixed(3)} s is not shown: ${reason}`),
    );
  }
}
