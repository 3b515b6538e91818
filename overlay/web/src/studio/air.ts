import { pick } from './cards';
import { Children, h, write } from './dom';
import { Quick } from './quick';
import { Thumb } from './row';
import { hideSheet } from './schedule';
import { commandButton, everySecond, type Studio } from './studio';
import { clockText, leftText } from './times';
import type { ScheduledView } from './types';

/** A command that waits for its time. */
class Waiting {
  readonly el: HTMLLIElement;
  private readonly words = h('span');

  constructor(
    private readonly studio: Studio,
    private readonly what: ScheduledView,
  ) {
    const { s, commands, clock } = studio;
    const cancel = commandButton(studio, { text: s.cancel }, () => commands.cancel(what.id));
    this.el = h('li', { class: 'waiting' }, this.words, cancel);
    everySecond(
      this.el,
      () => clock.now(),
      () => this.tick(),
    );
  }

  private tick(): void {
    const { s, lang, store, clock } = this.studio;
    const { op, card, slot, at } = this.what;
    const left = leftText(Date.parse(at) - clock.now());
    const known = card === undefined ? undefined : store.card(card);
    const name = known ? pick(known.card.name, lang) : (card ?? '');
    write(this.words, op === 'show' ? s.showIn(name, slot, left) : s.hideIn(slot, left));
  }
}

/** A slot with the card that it shows and all that can be changed of it now. */
class AirSlot {
  readonly el: HTMLElement;
  private readonly thumb = new Thumb();
  private readonly badge = h('span', { class: 'on-air' });
  private readonly name = h('strong', { class: 'now-name', attributes: { dir: 'auto' } });
  private readonly since = h('span', { class: 'since', attributes: { role: 'timer' } });
  private readonly buttons: HTMLElement;
  private readonly choose: HTMLButtonElement;
  private readonly box = h('div');
  private quick: { id: string; piece: Quick } | null = null;

  constructor(
    private readonly studio: Studio,
    private readonly slot: string,
  ) {
    const { s, commands, clock, store } = studio;
    const hide = commandButton(studio, { class: 'hide', text: s.hide }, () => commands.hide(slot));
    const later = h('button', { text: s.hideLater, click: () => hideSheet(studio, slot) });
    this.choose = h('button', { text: s.choose, label: s.chooseSlot(slot), click: () => store.choose(slot) });
    this.buttons = h('div', { class: 'choices' }, hide, later);
    const head = h('div', { class: 'slot-head' }, h('h3', { text: slot }), this.badge, this.since, this.choose);
    this.el = h(
      'article',
      { class: 'air-slot', label: slot },
      head,
      h('div', { class: 'now' }, this.thumb.el, this.name),
      this.box,
      this.buttons,
    );
    everySecond(
      this.el,
      () => clock.now(),
      () => this.tick(),
    );
  }

  update(): void {
    const { s, lang, store } = this.studio;
    const shown = store.shown(this.slot);
    const card = shown && store.card(shown.card)?.card;
    const name = card ? pick(card.name, lang) : (shown?.card ?? '');
    this.el.dataset['air'] = String(shown !== undefined);
    this.choose.hidden = store.slot === this.slot;
    write(this.badge, shown ? s.onAir : s.offAir);
    write(this.name, shown ? name : s.nothingShown(this.slot));
    this.thumb.show(card?.image, name);
    this.buttons.hidden = !shown;
    if (card?.id !== this.quick?.id) {
      this.quick = card ? { id: card.id, piece: new Quick(this.studio, card.id) } : null;
      this.box.replaceChildren(...(this.quick ? [this.quick.piece.el] : []));
    }
    if (card) this.quick?.piece.update(card);
    this.tick();
  }

  private tick(): void {
    const { store, clock } = this.studio;
    const shown = store.shown(this.slot);
    write(this.since, shown ? clockText(clock.now() - Date.parse(shown.since)) : '');
  }
}

/** OnAir is all slots with what they show and what waits for its time. */
export class OnAir {
  private readonly slotBox = h('div', { class: 'air-slots' });
  private readonly slots = new Children<AirSlot>(this.slotBox);
  private readonly waitBox = h('ol', { class: 'waits' });
  private readonly waits = new Children<Waiting>(this.waitBox);
  private readonly waitTitle: HTMLElement;

  constructor(
    private readonly studio: Studio,
    section: HTMLElement,
  ) {
    const { s, store } = studio;
    this.waitTitle = h('h3', { text: s.scheduled });
    section.append(h('h2', { text: s.onAirTab }), this.slotBox, this.waitTitle, this.waitBox);
    store.onchange(() => this.update());
  }

  private update(): void {
    const { store } = this.studio;
    const names = store.slots.filter((slot) => store.shown(slot) || slot === store.slot);
    this.slots.set(names, (slot) => new AirSlot(this.studio, slot));
    for (const slot of names) this.slots.get(slot)?.update();
    const waiting = store.view?.scheduled ?? [];
    const find = (id: string) => waiting.find((what) => what.id === id) as ScheduledView;
    this.waits.set(
      waiting.map(({ id }) => id),
      (id) => new Waiting(this.studio, find(id)),
    );
    this.waitTitle.hidden = waiting.length === 0;
  }
}
