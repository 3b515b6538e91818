import { pick } from './cards';
import { Sheet } from './dialogs';
import { Children, h, icon, write } from './dom';
import { Thumb } from './row';
import { commandButton, everySecond, type Studio } from './studio';
import { clockText } from './times';

/** A slot to choose, with a mark when it shows something. */
class SlotChoice {
  readonly el: HTMLLabelElement;
  readonly input: HTMLInputElement;

  constructor(studio: Studio, slot: string) {
    this.input = h('input', { attributes: { type: 'radio', name: 'slot', value: slot } });
    this.input.addEventListener('change', () => studio.store.choose(slot));
    this.el = h(
      'label',
      { class: 'slot' },
      this.input,
      h('span', { class: 'dot', attributes: { 'aria-hidden': 'true' } }),
      slot,
    );
  }
}

/** SlotBar says what is on air in the chosen slot, hides it, and chooses among slots. */
export class SlotBar {
  private readonly choices = h('div', { class: 'slots' });
  private readonly slots = new Children<SlotChoice>(this.choices);
  private readonly thumb = new Thumb();
  private readonly badge = h('span', { class: 'on-air' });
  private readonly name = h('strong', { class: 'now-name', attributes: { dir: 'auto' } });
  private readonly since = h('span', { class: 'since', attributes: { role: 'timer' } });
  private readonly hideOne: HTMLButtonElement;
  private readonly hideAll: HTMLButtonElement;
  private readonly now: HTMLElement;

  constructor(
    private readonly studio: Studio,
    section: HTMLElement,
  ) {
    const { s, store, commands, clock } = studio;
    this.hideOne = commandButton(studio, { class: 'hide', text: s.hide }, () => commands.hide(store.slot));
    this.hideAll = commandButton(studio, { class: 'hide-all', text: s.hideAll }, () => commands.hide(''));
    const add = h(
      'button',
      { class: 'small', label: s.addSlot, title: s.addSlot, click: () => nameSlot(studio) },
      icon('add'),
    );
    const group = h(
      'div',
      { class: 'slot-row', label: s.slots, attributes: { role: 'radiogroup' } },
      this.choices,
      add,
      this.hideAll,
    );
    const words = h('div', { class: 'now-words' }, this.badge, this.name);
    this.now = h('div', { class: 'now' }, this.thumb.el, words, this.since, this.hideOne);
    section.setAttribute('aria-label', s.onAirNow);
    section.append(group, this.now);
    store.onchange(() => this.update());
    everySecond(
      section,
      () => clock.now(),
      () => this.tick(),
    );
  }

  /** Chooses the next slot. */
  next(): void {
    const { store } = this.studio;
    const { slots } = store;
    store.choose(slots[(slots.indexOf(store.slot) + 1) % slots.length] ?? store.slot);
  }

  private update(): void {
    const { s, lang, store } = this.studio;
    this.slots.set(store.slots, (slot) => new SlotChoice(this.studio, slot));
    for (const slot of store.slots) {
      const choice = this.slots.get(slot);
      if (!choice) continue;
      choice.input.checked = slot === store.slot;
      choice.el.dataset['air'] = String(store.shown(slot) !== undefined);
      choice.input.setAttribute('aria-label', store.shown(slot) ? s.slotOnAir(slot) : slot);
    }
    const shown = store.shown(store.slot);
    const card = shown && store.card(shown.card)?.card;
    const name = card ? pick(card.name, lang) : (shown?.card ?? '');
    this.now.dataset['air'] = String(shown !== undefined);
    this.thumb.show(card?.image, name);
    write(this.badge, shown ? s.onAir : s.offAir);
    write(this.name, shown ? name : s.nothingShown(store.slot));
    this.hideOne.hidden = !shown;
    this.hideOne.setAttribute('aria-label', s.hideCard(name, store.slot));
    this.hideAll.hidden = (store.view?.slots.length ?? 0) < 2;
    this.tick();
  }

  private tick(): void {
    const { store, clock } = this.studio;
    const shown = store.shown(store.slot);
    write(this.since, shown ? clockText(clock.now() - Date.parse(shown.since)) : '');
  }
}

/** Asks for the name of a new slot and chooses it. */
function nameSlot({ s, store }: Studio): void {
  const sheet = new Sheet(s, s.addSlot, 'question');
  const input = h('input', {
    attributes: { maxlength: '16', autocapitalize: 'none', 'aria-describedby': 'slot-error', autocomplete: 'off' },
  });
  const error = h('p', { class: 'error', id: 'slot-error', attributes: { role: 'alert' } });
  const form = h('form', { id: 'slot-form' }, h('label', { class: 'field' }, h('span', { text: s.slotName }), input), error);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (/^[a-z][a-z0-9-]{0,15}$/.test(name)) {
      store.choose(name);
      sheet.close();
    } else error.textContent = s.slotNameWrong;
  });
  sheet.body.append(form, h('p', { class: 'hint', text: s.slotHint }));
  sheet.foot.append(h('button', { class: 'primary', text: s.addSlot, attributes: { type: 'submit', form: 'slot-form' } }));
  sheet.open();
  input.focus();
}
