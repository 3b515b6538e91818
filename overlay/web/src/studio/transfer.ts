import { Failure } from './api';
import { pick } from './cards';
import { sentence } from './commands';
import { Sheet } from './dialogs';
import { h, write } from './dom';
import { label } from './labels';
import { commandButton, type Studio } from './studio';
import { cardOf, exported, readCards } from './transfer-data';
import type { Card } from './types';

/** What a file may have at most: more than a whole list; bytes. */
const largest = 8 << 20;

/** Which card, and which field of it, and what is wrong. */
function located(studio: Studio, card: Card | undefined, at: number, field: string, what: string): string {
  const { s, lang } = studio;
  const name = card ? pick(card.name, lang) || card.id : '';
  return `${s.cardAt(at + 1, name)}${field === '' ? '' : `, ${label(field, s)}`}: ${what}`;
}

/** Transfer brings cards in and takes them out as JSON. */
class Transfer {
  private readonly sheet: Sheet;
  private readonly text: HTMLTextAreaElement;
  private readonly file: HTMLInputElement;
  private readonly replace: HTMLInputElement;
  private readonly error = h('p', { class: 'error', id: 'transfer-error', attributes: { role: 'alert' } });
  private readonly found = h('p', { class: 'hint', attributes: { role: 'status' } });

  constructor(private readonly studio: Studio) {
    const { s, store } = studio;
    this.sheet = new Sheet(s, s.transfer, 'wide');
    this.text = h('textarea', {
      class: 'json',
      attributes: { rows: '8', spellcheck: 'false', placeholder: s.pasteHere, 'aria-describedby': 'transfer-error' },
      label: s.pasteHere,
    });
    this.file = h('input', { attributes: { type: 'file', accept: '.json,application/json' } });
    this.replace = h('input', { attributes: { type: 'checkbox' } });
    this.text.addEventListener('input', () => this.look());
    this.replace.addEventListener('change', () => this.look());
    this.file.addEventListener('change', () => void this.take(this.file.files));
    const drop = h('label', { class: 'drop' }, h('span', { text: s.dropHere }), this.file);
    const bring = commandButton(studio, { class: 'primary', text: s.import }, () => this.import());
    const save = h('button', { text: s.download, click: () => this.download() });
    const copy = h('button', { text: s.copy, click: () => void this.copy() });
    save.disabled = copy.disabled = store.cards.length === 0;
    this.sheet.body.append(
      h('h3', { text: s.import }),
      drop,
      this.text,
      this.found,
      this.error,
      h('label', { class: 'check' }, this.replace, h('span', { text: s.replaceList })),
      h('div', { class: 'choices' }, bring),
      h('h3', { text: s.export }),
      h('div', { class: 'choices' }, save, copy),
    );
  }

  open(files: FileList | null, closed: () => void): void {
    this.sheet.onclose = closed;
    this.sheet.open();
    if (files) void this.take(files);
    else this.text.focus();
  }

  /** Reads a file that was picked or dropped. */
  async take(files: FileList | null): Promise<void> {
    const [file] = files ?? [];
    if (!file) return;
    if (file.size > largest) write(this.error, this.studio.s.fileTooLarge);
    else {
      this.text.value = await file.text();
      this.look();
    }
  }

  /** Says what is in the text so far. */
  private look(): void {
    const { s, store } = this.studio;
    const read = readCards(this.text.value);
    const given = 'cards' in read ? read.cards : [];
    const ids = new Set(given.map(({ id }) => id));
    const lost = store.cards.filter(({ id }) => !ids.has(id)).length;
    write(this.error, 'problem' in read && read.problem !== 'empty' ? this.why(read.problem, read.detail) : '');
    const words = given.length === 0 ? '' : s.foundIn(given.length);
    write(this.found, words !== '' && this.replace.checked && lost > 0 ? `${words} ${s.replaceLoses(lost)}` : words);
  }

  private why(problem: 'syntax' | 'shape' | 'empty', detail: string): string {
    const { s } = this.studio;
    if (problem === 'syntax') return s.notJSON(detail);
    if (problem === 'empty') return s.nothingToImport;
    return detail === '' ? s.notCards : s.cardWithoutID(Number(detail));
  }

  private async import(): Promise<void> {
    const { s, notices } = this.studio;
    const read = readCards(this.text.value);
    if ('problem' in read) {
      write(this.error, this.why(read.problem, read.detail));
      return;
    }
    write(this.error, '');
    const done = this.replace.checked ? await this.whole(read.cards) : await this.one(read.cards);
    if (!done) return;
    notices.say(s.imported(read.cards.length));
    this.sheet.close();
  }

  /** Makes the cards the whole list: all of them or none. */
  private async whole(cards: readonly Card[]): Promise<boolean> {
    try {
      await this.studio.commands.replace(cards);
      return true;
    } catch (error) {
      const what = sentence(error, this.studio.s);
      const place = error instanceof Failure ? cardOf(error.field) : null;
      write(this.error, place ? located(this.studio, cards[place.at], place.at, place.field, what) : what);
      return false;
    }
  }

  /** Adds the cards one after another, or changes those that are there; stops at the first that is refused. */
  private async one(cards: readonly Card[]): Promise<boolean> {
    const { s, commands } = this.studio;
    for (const [i, card] of cards.entries()) {
      write(this.found, s.importing(i + 1, cards.length));
      try {
        await commands.put(card, false);
      } catch (error) {
        const what = sentence(error, s);
        const field = error instanceof Failure ? error.field : '';
        write(this.error, located(this.studio, card, i, field, what));
        write(this.found, i === 0 ? '' : s.importedSome(i, cards.length));
        return false;
      }
    }
    return true;
  }

  private download(): void {
    const { api, store } = this.studio;
    const url = URL.createObjectURL(new Blob([exported(store.cards)], { type: 'application/json' }));
    const link = h('a', { attributes: { href: url, download: `${api.stream}-cards.json` } });
    link.click();
    // The browser has begun to read by then; where it has not, a minute is plenty.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  private async copy(): Promise<void> {
    const { s, store, notices } = this.studio;
    const text = exported(store.cards);
    try {
      await navigator.clipboard.writeText(text);
      notices.say(s.copied);
      write(this.found, s.copied);
    } catch {
      // Not a secure context, or not permitted: the reader copies from here.
      this.text.value = text;
      this.text.select();
    }
  }
}

/** The one that is open. */
let current: Transfer | null = null;

/** Opens import and export; files are what was dropped on the page. */
export function openTransfer(studio: Studio, files: FileList | null = null): void {
  if (current) {
    void current.take(files);
    return;
  }
  current = new Transfer(studio);
  current.open(files, () => (current = null));
}

/** Takes files that are dropped anywhere on the page. */
export function takeDrops(studio: Studio): void {
  document.addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    const files = event.dataTransfer?.files;
    if (!files?.length) return;
    event.preventDefault();
    openTransfer(studio, files);
  });
}
