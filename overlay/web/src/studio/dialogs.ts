import { h, icon } from './dom';

/** The words that every dialog has. */
interface Words {
  readonly close: string;
}

let count = 0;

/** Sheet is a dialog over the page: at the bottom of a phone's screen, in the middle of a larger one. */
export class Sheet {
  readonly el: HTMLDialogElement;
  readonly body = h('div', { class: 'sheet-body' });
  readonly foot = h('div', { class: 'sheet-foot' });
  /** Asked before the sheet is closed by its reader; false keeps it. */
  mayClose: () => boolean | Promise<boolean> = () => true;
  /** Called once it is closed, however that came. */
  onclose: () => void = () => {};

  constructor(s: Words, title: string, kind = '') {
    const id = `sheet-${++count}`;
    const close = h('button', { class: 'small', label: s.close, click: () => void this.dismiss() }, icon('close'));
    const head = h('div', { class: 'sheet-head' }, h('h2', { id, text: title }), close);
    this.el = h('dialog', { class: `sheet ${kind}`, attributes: { 'aria-labelledby': id } }, head, this.body, this.foot);
    this.el.addEventListener('cancel', (event) => {
      event.preventDefault();
      void this.dismiss();
    });
    this.el.addEventListener('pointerdown', (event) => {
      if (event.target === this.el && !within(this.el, event)) void this.dismiss();
    });
    this.el.addEventListener('close', () => {
      this.el.remove();
      this.onclose();
    });
  }

  open(): void {
    document.body.append(this.el);
    this.el.showModal();
  }

  close(): void {
    this.el.close();
  }

  private async dismiss(): Promise<void> {
    if (await this.mayClose()) this.close();
  }
}

function within(element: HTMLElement, { clientX: x, clientY: y }: PointerEvent): boolean {
  const box = element.getBoundingClientRect();
  return x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
}

/** Asks a question; false when it is answered with no, or not at all. */
export function ask(
  s: Words,
  title: string,
  content: (Node | string)[],
  yes: string,
  no: string,
  danger = false,
): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = false;
    const sheet = new Sheet(s, title, 'question');
    sheet.body.append(...content);
    const confirm = h('button', {
      class: danger ? 'danger' : 'primary',
      text: yes,
      click: () => {
        answer = true;
        sheet.close();
      },
    });
    sheet.foot.append(h('button', { text: no, click: () => sheet.close() }), confirm);
    sheet.onclose = () => resolve(answer);
    sheet.open();
    confirm.focus();
  });
}
