import { h, icon, write } from './dom';
import type { TextRow } from './form';
import type { StudioStrings } from './strings';

/** How a field looks and what it takes. */
export interface FieldOptions {
  readonly hint?: string;
  readonly type?: string;
  readonly mode?: string;
  readonly list?: string;
  readonly lines?: number;
  readonly placeholder?: string;
}

type Input = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

interface Known {
  readonly path: () => string;
  readonly input: Input;
  readonly error: HTMLElement;
}

let count = 0;

/** Fields knows the inputs of a form by the paths of what they stand for, so that a complaint finds its place. */
export class Fields {
  private known: Known[] = [];

  constructor(readonly s: StudioStrings) {}

  /** An input with its label and a place for what is wrong with it. */
  text(
    path: () => string,
    label: string,
    value: string,
    options: FieldOptions = {},
  ): { el: HTMLElement; input: HTMLInputElement | HTMLTextAreaElement } {
    const attributes: Record<string, string> = { autocomplete: 'off' };
    if (options.type !== undefined) attributes['type'] = options.type;
    if (options.type === 'datetime-local') attributes['step'] = '1';
    if (options.mode !== undefined) attributes['inputmode'] = options.mode;
    if (options.list !== undefined) attributes['list'] = options.list;
    if (options.placeholder !== undefined) attributes['placeholder'] = options.placeholder;
    const input =
      options.lines === undefined
        ? h('input', { attributes })
        : h('textarea', { attributes: { rows: String(options.lines) } });
    input.value = value;
    return { el: this.field(path, label, input, options.hint), input };
  }

  /** A choice among values. */
  choice(
    path: () => string,
    label: string,
    value: string,
    values: readonly (readonly [string, string])[],
  ): { el: HTMLElement; input: HTMLSelectElement } {
    const options = values.map(([key, text]) => h('option', { text, attributes: { value: key } }));
    const input = h('select', {}, ...options);
    input.value = value;
    return { el: this.field(path, label, input), input };
  }

  /** Gives any input a label, a place for complaints, and its path. */
  field(path: () => string, label: string, input: Input, hint?: string): HTMLElement {
    const id = `field-${++count}`;
    const error = h('p', { class: 'error', id: `${id}-error` });
    input.id = id;
    input.setAttribute('aria-describedby', hint === undefined ? error.id : `${error.id} ${id}-hint`);
    this.known.push({ path, input, error });
    const said = hint === undefined ? null : h('p', { class: 'hint', id: `${id}-hint`, text: hint });
    return h('div', { class: 'field' }, h('label', { text: label, attributes: { for: id } }), input, error, said);
  }

  /** Takes all complaints back. */
  clear(): void {
    this.known = this.known.filter(({ input }) => input.isConnected);
    for (const { input, error } of this.known) {
      input.removeAttribute('aria-invalid');
      write(error, '');
    }
  }

  /** Puts a complaint at its field, or at the nearest that there is; false when there is none. */
  fail(path: string, message: string): boolean {
    const field = this.nearest(path);
    if (!field) return false;
    field.input.setAttribute('aria-invalid', 'true');
    write(field.error, message);
    field.input.closest('details')?.setAttribute('open', '');
    field.input.focus();
    field.input.scrollIntoView({ block: 'center' });
    return true;
  }

  private nearest(path: string): Known | undefined {
    const shown = this.known.filter(({ input }) => input.isConnected);
    for (let part = path; part !== ''; part = part.replace(/(\.|\[)?[^.[]*$/, '')) {
      const found =
        shown.find((field) => field.path() === part) ??
        shown.find((field) => field.path().startsWith(`${part}.`) || field.path().startsWith(`${part}[`));
      if (found) return found;
    }
    return undefined;
  }
}

/** Texts is a text in several languages: a row for each. */
export class Texts {
  readonly el: HTMLElement;
  private rows: { el: HTMLElement; lang: HTMLInputElement; text: HTMLInputElement | HTMLTextAreaElement }[] = [];
  private readonly box = h('div', { class: 'texts' });

  constructor(
    private readonly fields: Fields,
    private readonly path: string,
    private readonly label: string,
    value: readonly TextRow[],
    private readonly lines?: number,
  ) {
    const { s } = fields;
    const add = h('button', {
      class: 'quiet',
      text: s.addLanguage,
      click: () => this.add({ lang: '', text: '' }).lang.focus(),
    });
    this.el = h('fieldset', { class: 'group' }, h('legend', { text: label }), this.box, add);
    for (const row of value.length > 0 ? value : [{ lang: '', text: '' }]) this.add(row);
  }

  get value(): TextRow[] {
    return this.rows.map(({ lang, text }) => ({ lang: lang.value, text: text.value }));
  }

  /** The text that comes first. */
  get first(): string {
    return this.rows[0]?.text.value ?? '';
  }

  private add({ lang, text }: TextRow): { lang: HTMLInputElement; text: HTMLInputElement | HTMLTextAreaElement } {
    const { fields } = this;
    const { s } = fields;
    const tag = h('input', {
      class: 'lang',
      label: s.languageOf(this.label),
      attributes: {
        list: 'languages',
        placeholder: s.allLanguages,
        autocapitalize: 'none',
        autocomplete: 'off',
        maxlength: '35',
      },
    });
    tag.value = lang;
    const path = () => (tag.value.trim() === '' ? this.path : `${this.path}.${tag.value.trim()}`);
    const { el: field, input } = fields.text(path, this.label, text, this.lines === undefined ? {} : { lines: this.lines });
    input.dir = 'auto';
    const remove = h('button', { class: 'small', label: s.removeLanguage, click: () => this.remove(row) }, icon('close'));
    const row = { el: h('div', { class: 'text-row' }, tag, field, remove), lang: tag, text: input };
    this.rows.push(row);
    this.box.append(row.el);
    return row;
  }

  private remove(row: (typeof this.rows)[number]): void {
    if (this.rows.length === 1) {
      row.lang.value = row.text.value = '';
      row.text.focus();
      return;
    }
    this.rows = this.rows.filter((other) => other !== row);
    row.el.remove();
    this.rows[0]?.text.focus();
  }
}
