import { pick } from './cards';
import { Children, h, write } from './dom';
import { everySecond, type Studio } from './studio';
import { clockText, timeOfDay } from './times';
import type { ShownView } from './types';

/** A card as it was shown once. */
class Line {
  readonly el = h('li', { class: 'line' });
  private readonly name = h('strong', { attributes: { dir: 'auto' } });
  private readonly when = h('span');
  private readonly long = h('span', { class: 'since' });
  private readonly badge = h('span', { class: 'on-air' });
  private shown: ShownView | null = null;

  constructor(private readonly studio: Studio) {
    this.el.append(this.badge, this.name, this.long, this.when);
    everySecond(
      this.el,
      () => studio.clock.now(),
      () => this.tick(),
    );
  }

  update(shown: ShownView): void {
    const { s, lang, store, clock } = this.studio;
    const card = store.card(shown.card)?.card;
    this.shown = shown;
    this.el.dataset['air'] = String(shown.to === undefined);
    write(this.badge, shown.to === undefined ? s.onAir : '');
    write(this.name, card ? pick(card.name, lang) : shown.card);
    write(this.when, s.shownWhen(timeOfDay(shown.from, lang, clock.now()), shown.slot, shown.rev, s.sources[shown.source] ?? shown.source));
    this.tick();
  }

  private tick(): void {
    if (!this.shown) return;
    const end = this.shown.to === undefined ? this.studio.clock.now() : Date.parse(this.shown.to);
    write(this.long, clockText(end - Date.parse(this.shown.from)));
  }
}

/** Timeline is what was shown when, the latest first. */
export class Timeline {
  private readonly list = h('ol', { class: 'lines' });
  private readonly lines = new Children<Line>(this.list);
  private readonly none: HTMLElement;

  constructor(
    private readonly studio: Studio,
    section: HTMLElement,
  ) {
    const { s, store } = studio;
    this.none = h('p', { class: 'hint', text: s.noTimeline });
    section.append(h('h2', { text: s.timelineTab }), this.none, this.list);
    store.onchange(() => this.update());
  }

  private update(): void {
    const shown = this.studio.store.view?.timeline ?? [];
    const key = ({ slot, card, rev, from }: ShownView) => `${slot}/${card}/${rev}/${from}`;
    const keys = new Map(shown.map((line) => [key(line), line]));
    this.lines.set([...keys.keys()], () => new Line(this.studio));
    for (const [id, line] of keys) this.lines.get(id)?.update(line);
    this.none.hidden = shown.length > 0;
  }
}
