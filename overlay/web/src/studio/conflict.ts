import { ask } from './dialogs';
import { h } from './dom';
import { label } from './labels';
import { changes, type Change } from './merge';
import type { StudioStrings } from './strings';
import type { Card } from './types';

/** A value of a document for the host to read. */
function shown(value: unknown, s: StudioStrings): string {
  if (value === undefined) return s.nothing;
  if (Array.isArray(value)) {
    const simple = value.every((item) => typeof item === 'string');
    return simple ? value.join(', ') : JSON.stringify(value);
  }
  if (typeof value === 'string') return s.availability[value as keyof typeof s.availability] ?? value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Lines that say what was changed: the field, from what, to what. */
export function changeList(list: readonly Change[], s: StudioStrings): HTMLElement {
  const line = ({ path, from, to }: Change) =>
    h(
      'li',
      {},
      h('strong', { text: label(path, s) }),
      ' ',
      h('del', { text: shown(from, s) }),
      ' → ',
      h('ins', { text: shown(to, s) }),
    );
  return h('ul', { class: 'changes' }, ...list.map(line));
}

/** Shows what somebody else changed meanwhile and what mine would make of it; asks whether to go on. */
export function askAboutConflict(s: StudioStrings, base: Card, theirs: Card, mine: Card): Promise<boolean> {
  const content = [
    h('p', { text: s.conflictWhat }),
    h('h3', { text: s.conflictTheirs }),
    changeList(changes(base, theirs), s),
    h('h3', { text: s.conflictMine }),
    changeList(changes(theirs, mine), s),
  ];
  return ask(s, s.conflictTitle, content, s.conflictApply, s.conflictKeep);
}
