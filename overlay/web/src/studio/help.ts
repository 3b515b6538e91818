import { Sheet } from './dialogs';
import { h } from './dom';
import type { StudioStrings } from './strings';

/** Shows what the keys do. */
export function openHelp(s: StudioStrings): void {
  const sheet = new Sheet(s, s.help, 'help');
  const lines = s.keys.flatMap(([key, words]) => [h('dt', {}, h('kbd', { text: key })), h('dd', { text: words })]);
  sheet.body.append(h('dl', { class: 'keys' }, ...lines));
  sheet.open();
}
