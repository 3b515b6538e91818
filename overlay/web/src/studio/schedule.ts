import { pick } from './cards';
import { Sheet } from './dialogs';
import { h } from './dom';
import { commandButton, type Studio } from './studio';
import { clockText, fromLocal, toLocal, rfc3339 } from './times';

/** The waits that are one click away; s. */
const waits = [10, 30, 60, 300];

/** Asks when something is to happen: in a while or at a time; act gets the time on the node's clock in ms. */
function whenSheet(studio: Studio, title: string, act: (at: number) => Promise<boolean>): void {
  const { s, clock } = studio;
  const sheet = new Sheet(s, title, 'when');
  const go = async (at: number) => {
    if (await act(at)) sheet.close();
  };
  const soon = waits.map((seconds) =>
    commandButton(studio, { text: s.inTime(seconds < 60 ? s.seconds(seconds) : s.minutes(seconds / 60)) }, () =>
      go(clock.now() + seconds * 1000),
    ),
  );
  const error = h('p', { class: 'error', id: 'when-error', attributes: { role: 'alert' } });
  const time = h('input', { attributes: { type: 'datetime-local', step: '1', 'aria-describedby': 'when-error' } });
  time.value = toLocal(rfc3339(Math.ceil((clock.now() + 60_000) / 60_000) * 60_000));
  const at = commandButton(studio, { class: 'primary', text: s.schedule }, async () => {
    const wanted = fromLocal(time.value);
    // The input has this computer's time, the node has its own; what the host means is the time on the wall.
    const ms = wanted === null ? NaN : Date.parse(wanted);
    error.textContent = Number.isNaN(ms) ? s.mistakes.time : ms <= clock.now() ? s.timePassed : '';
    if (error.textContent === '') await go(ms);
  });
  const content = [
    h('div', { class: 'choices' }, ...soon),
    h('label', { class: 'field' }, h('span', { text: s.atTime }), time),
    error,
    Math.abs(clock.offset) < 2000 ? null : h('p', { class: 'hint', text: s.clockWrong(clockText(Math.abs(clock.offset))) }),
  ];
  sheet.body.append(...content.filter((part) => part !== null));
  sheet.foot.append(at);
  sheet.open();
}

/** Asks when a card is to be shown in the slot. */
export function scheduleSheet(studio: Studio, id: string): void {
  const { s, lang, store, commands } = studio;
  const card = store.card(id)?.card;
  const { slot } = store;
  if (card) whenSheet(studio, s.showLaterTitle(pick(card.name, lang), slot), (at) => commands.show(slot, id, at));
}

/** Asks when a slot is to be emptied. */
export function hideSheet(studio: Studio, slot: string): void {
  whenSheet(studio, studio.s.hideLaterTitle(slot), (at) => studio.commands.hide(slot, at));
}
