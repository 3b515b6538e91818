import { h, icon } from './dom';

/** How long a notice stays; ms. What went wrong stays longer, and until it is put away where it can be. */
const stays = { said: 3500, failed: 12_000 };

/** Notices tells the host what became of what they did, to the eye and to screen readers. */
export class Notices {
  private timers = new Map<HTMLElement, ReturnType<typeof setTimeout>>();

  constructor(
    private readonly saidBox: HTMLElement,
    private readonly failedBox: HTMLElement,
    private readonly closeLabel: string,
  ) {}

  /** Something was done. */
  say(text: string): void {
    this.put(this.saidBox, stays.said, h('span', { text }));
  }

  /** Something could not be done, and why. */
  fail(text: string): void {
    const close = h(
      'button',
      { class: 'small', label: this.closeLabel, click: () => this.clear(this.failedBox) },
      icon('close'),
    );
    this.put(this.failedBox, stays.failed, h('span', { text }), close);
    this.clear(this.saidBox);
  }

  private put(box: HTMLElement, ms: number, ...content: HTMLElement[]): void {
    clearTimeout(this.timers.get(box));
    box.replaceChildren(...content);
    this.timers.set(
      box,
      setTimeout(() => this.clear(box), ms),
    );
  }

  private clear(box: HTMLElement): void {
    clearTimeout(this.timers.get(box));
    box.replaceChildren();
  }
}
