import { localise } from '../../sdk/localise';
import { CardView } from '../cards/view';
import { wordsFor } from '../cards/words';
import { languages, pick } from './cards';
import { languageList, regionList, type Named } from './codes';
import { h, write } from './dom';
import { everySecond, type Studio } from './studio';

/** Fills a choice with options, where they differ, and keeps what is chosen. */
function fill(select: HTMLSelectElement, options: readonly Named[]): void {
  const key = JSON.stringify(options);
  if (select.dataset['options'] === key) return;
  const { value } = select;
  select.replaceChildren(...options.map(({ code, name }) => h('option', { text: name, attributes: { value: code } })));
  select.value = options.some(({ code }) => code === value) ? value : (options[0]?.code ?? '');
  select.dataset['options'] = key;
}

/** Viewers shows a card as viewers in a region, with a language, see it: by the node's document and the player's view. */
export class Viewers {
  private readonly region = h('select');
  private readonly language = h('select');
  private readonly card = h('select');
  private readonly words = h('p', { class: 'hint', attributes: { role: 'status' } });
  private readonly stage = h('div', { class: 'seen' });
  private view: CardView | null = null;
  /** The languages of cards that are offered. */
  private offered: string | null = null;
  /** What is asked for: a new question makes older answers void. */
  private asked = '';

  constructor(
    private readonly studio: Studio,
    section: HTMLElement,
  ) {
    const { s, lang, store, clock } = studio;
    const anywhere = { code: '', name: s.anyRegion };
    fill(this.region, [anywhere, ...regionList(lang)]);
    const choice = (label: string, select: HTMLSelectElement) =>
      h('label', { class: 'field' }, h('span', { text: label }), select);
    const choices = h(
      'div',
      { class: 'pair' },
      choice(s.region, this.region),
      choice(s.language, this.language),
      choice(s.card, this.card),
    );
    section.append(h('h2', { text: s.viewersTab }), choices, this.words, this.stage);
    this.region.addEventListener('change', () => void this.look());
    this.language.addEventListener('change', () => void this.look());
    this.card.addEventListener('change', () => {
      store.looked = this.card.value === '' ? null : this.card.value;
      void this.look();
    });
    store.onchange(() => this.update());
    everySecond(
      section,
      () => clock.now(),
      () => this.view?.tick(),
    );
  }

  private update(): void {
    const { s, lang, store } = this.studio;
    this.offerLanguages(languages(store.cards));
    const named = store.cards.map(({ id, card }) => ({ code: id, name: pick(card.name, lang) }));
    fill(this.card, [{ code: '', name: s.cardInSlot(store.slot) }, ...named]);
    if (store.looked !== null && !store.card(store.looked)) store.looked = null;
    this.card.value = store.looked ?? '';
    void this.look();
  }

  /** Offers the languages that cards have, beside the usual ones. */
  private offerLanguages(tags: readonly string[]): void {
    const { lang } = this.studio;
    const key = tags.join();
    if (key === this.offered) return;
    const first = this.offered === null;
    this.offered = key;
    fill(this.language, languageList(lang, [lang, ...tags]));
    if (first) this.language.value = lang;
  }

  /** Asks the node what viewers get, when that may have changed. */
  private async look(): Promise<void> {
    const { s, store, api } = this.studio;
    const id = this.card.value || store.shown(store.slot)?.card;
    const region = this.region.value;
    const card = id === undefined ? undefined : store.card(id);
    const question = JSON.stringify([id, card?.rev, region, this.language.value, store.connected]);
    if (question === this.asked) return;
    this.asked = question;
    if (!card) {
      this.clear(store.view ? s.nothingToSee : '');
      return;
    }
    if (!store.connected) return;
    try {
      const document = await api.read<Record<string, unknown>>(`/cards/${card.id}/preview?region=${region}`);
      if (question === this.asked) this.draw({ rev: card.rev, ...document }, region);
    } catch {
      if (question !== this.asked) return;
      this.asked = '';
      this.clear(s.noPreview);
    }
  }

  private draw(document: Record<string, unknown>, region: string): void {
    const { s, store, clock } = this.studio;
    const tags = [this.language.value];
    const card = localise(document, { languages: tags, region: region === '' ? undefined : region });
    if (!card) {
      this.clear(
        document['pushcart:withheld'] ? s.withheld(this.region.selectedOptions[0]?.textContent ?? region) : s.nothingToSee,
      );
      return;
    }
    write(this.words, '');
    this.view = new CardView(store.slot === 'banner' ? 'main' : store.slot, wordsFor(tags), () => new Date(clock.now()));
    this.view.show(card);
    this.stage.replaceChildren(this.view.element);
  }

  private clear(why: string): void {
    this.view = null;
    this.stage.replaceChildren();
    write(this.words, why);
  }
}
