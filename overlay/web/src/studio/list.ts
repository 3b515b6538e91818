import { found, pick } from './cards';
import { ask, Sheet } from './dialogs';
import { Children, h, icon, write } from './dom';
import { sortable, type Sortable } from './drag';
import { move } from './order';
import { Row } from './row';
import { scheduleSheet } from './schedule';
import { commandButton, type Studio } from './studio';
import type { CardView } from './types';

/** What the list needs of other parts of the page. */
export interface ListActions {
  /** Opens the form: for a card, for a copy of one, or for a new one. */
  edit(card: CardView): void;
  copy(card: CardView): void;
  add(): void;
  /** Opens import and export. */
  transfer(): void;
  /** Shows what viewers see of a card. */
  look(id: string): void;
}

/** ProductList is the list of cards with all that can be done with it. */
export class ProductList implements Sortable {
  readonly list = h('ol', { class: 'rows' });
  readonly scroller: HTMLElement;
  private readonly rows = new Children<Row>(this.list);
  private readonly query: HTMLInputElement;
  private readonly note = h('p', { class: 'hint', attributes: { role: 'status' } });
  private readonly first: HTMLElement;
  /** The order that was asked for and is not acknowledged yet. */
  private wanted: string[] | null = null;
  /** The order that is on its way. */
  private sorting: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly studio: Studio,
    section: HTMLElement,
    private readonly actions: ListActions,
  ) {
    const { s } = studio;
    this.query = h('input', { class: 'search', label: s.search, attributes: { type: 'search', placeholder: s.search } });
    this.query.addEventListener('input', () => this.update());
    this.query.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.clear();
    });
    const add = h(
      'button',
      { class: 'primary', title: s.add, click: () => actions.add() },
      icon('add'),
      h('span', { text: s.add }),
    );
    const transfer = h(
      'button',
      { title: s.transfer, click: () => actions.transfer() },
      icon('transfer'),
      h('span', { text: s.transfer }),
    );
    this.first = h('div', { class: 'first' }, h('p', { text: s.noCards }), h('p', { class: 'hint', text: s.noCardsMore }));
    this.list.setAttribute('aria-label', s.products);
    this.scroller = section;
    section.append(
      h('div', { class: 'tools' }, h('h2', { class: 'unseen', text: s.products }), this.query, add, transfer),
      this.first,
      this.list,
      this.note,
    );
    studio.store.onchange(() => this.update());
  }

  /** Puts the keyboard into the search field. */
  search(): void {
    this.query.focus();
    this.query.select();
  }

  allowed(): boolean {
    return this.studio.store.changeable && this.query.value.trim() === '';
  }

  moved(from: number, to: number): void {
    const ids = this.order().map(({ id }) => id);
    this.wanted = move(ids, from, to);
    this.update();
    // One at a time: what is sent is what is wanted by then.
    this.sorting = this.sorting.then(() => this.sort());
  }

  released(): void {
    this.update();
  }

  /** The identifier of the card that has a place in the list; places count from 0. */
  at(place: number): string | undefined {
    return this.order()[place]?.id;
  }

  private async sort(): Promise<void> {
    const wanted = this.wanted;
    if (!wanted) return;
    await this.studio.commands.order(wanted);
    // Acknowledged or refused: from here on the node's order is shown.
    if (this.wanted === wanted) {
      this.wanted = null;
      this.update();
    }
  }

  /** The cards in the order that is wanted; those that nobody has placed yet come last. */
  private order(): CardView[] {
    const { cards } = this.studio.store;
    const { wanted } = this;
    if (!wanted) return [...cards];
    const place = (id: string) => (wanted.includes(id) ? wanted.indexOf(id) : wanted.length);
    return [...cards].sort((a, b) => place(a.id) - place(b.id));
  }

  private update(): void {
    // Rows that are held are left alone until they are let go.
    if (this.list.dataset['sorting'] !== undefined) return;
    const { s, store } = this.studio;
    const query = this.query.value.trim();
    const cards = this.order();
    const seen = cards.filter(({ card }) => query === '' || found(card, query));
    this.rows.set(
      seen.map(({ id }) => id),
      (id) => this.make(id),
    );
    for (const [place, card] of cards.entries()) this.rows.get(card.id)?.update(card, place, query === '');
    this.list.dataset['saving'] = String(this.wanted !== null);
    this.first.hidden = store.view === null || cards.length > 0;
    write(this.note, query === '' ? '' : s.foundCards(seen.length, cards.length));
  }

  private make(id: string): Row {
    const row = new Row(this.studio, id, {
      edit: () => this.with(id, (card) => this.actions.edit(card)),
      menu: () => this.with(id, (card) => this.menu(card)),
    });
    sortable(row.handle, row.el, this);
    return row;
  }

  private with(id: string, act: (card: CardView) => void): void {
    const card = this.studio.store.card(id);
    if (card) act(card);
  }

  private clear(): void {
    if (this.query.value === '') this.query.blur();
    this.query.value = '';
    this.update();
  }

  /** All that can be done with one card. */
  private menu(card: CardView): void {
    const { s, lang, commands, store } = this.studio;
    const name = pick(card.card.name, lang);
    const sheet = new Sheet(s, name, 'menu');
    const item = (text: string, act: () => void, danger = false) =>
      h('button', {
        class: danger ? 'danger' : '',
        text,
        click: () => {
          sheet.close();
          act();
        },
      });
    const shift = (text: string, by: number) =>
      commandButton(this.studio, { text }, async () => {
        const from = this.order().findIndex(({ id }) => id === card.id);
        if (from + by >= 0 && from + by < store.cards.length) this.moved(from, from + by);
      });
    sheet.body.append(
      item(s.edit, () => this.actions.edit(card)),
      item(s.duplicate, () => this.actions.copy(card)),
      item(s.showLater, () => scheduleSheet(this.studio, card.id)),
      item(s.lookAs, () => this.actions.look(card.id)),
      shift(s.moveUp, -1),
      shift(s.moveDown, 1),
      item(s.remove, () => void this.remove(card.id, name, (now) => commands.remove(now)), true),
    );
    sheet.open();
  }

  private async remove(id: string, name: string, act: (card: CardView) => Promise<boolean>): Promise<void> {
    const { s } = this.studio;
    const yes = await ask(s, s.removeTitle(name), [h('p', { text: s.removeWhat })], s.remove, s.cancel, true);
    const card = this.studio.store.card(id);
    if (yes && card) await act(card);
  }
}
