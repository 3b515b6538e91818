import { sendable, takeSecret } from '../address';
import { element } from '../element';
import { icon, write } from '../studio/dom';
import { Keep } from './keep';
import type { PublishStrings } from './strings';
import type { UplinkState } from './uplink';

/** Entrance is the way in: the stream's key and the large button. */
export class Entrance {
  private readonly form = element('form', HTMLFormElement);
  private readonly input = element('key', HTMLInputElement);
  private readonly hint = element('key-hint', HTMLElement);
  private readonly remember = element('remember', HTMLInputElement);
  private readonly go = element('go', HTMLButtonElement);
  private readonly keep: Keep;

  constructor(
    private readonly s: PublishStrings,
    stream: string,
    pressed: () => void,
  ) {
    this.keep = new Keep(stream);
    element('key-label', HTMLElement).textContent = s.key;
    element('remember-text', HTMLElement).textContent = s.remember;
    this.offerLook();
    this.complain('');
    const given = takeSecret('key');
    this.input.value = given ?? this.keep.key ?? '';
    this.remember.checked = this.keep.remembered;
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      pressed();
    });
    // Whoever takes the tick off wants the key gone now, not with the next show.
    this.remember.addEventListener('change', () => {
      if (!this.remember.checked && this.keep.remembered) this.keep.forget();
    });
    this.input.addEventListener('input', () => this.complain(''));
    // An address with another key, put into the bar of the same page.
    window.addEventListener('hashchange', () => {
      const key = takeSecret('key');
      if (key !== null && !this.form.hidden) this.input.value = key;
    });
  }

  /** The key as it is in the field. */
  get key(): string {
    return this.input.value.trim();
  }

  /** Whether the key can be sent; it is kept if so. Without one the node decides. */
  accept(): boolean {
    const { key } = this;
    if (key !== '' && !sendable(key)) {
      this.complain(this.s.keyWrong);
      this.input.focus();
      return false;
    }
    if (key === '') this.keep.forget();
    else this.keep.save(key, this.remember.checked);
    return true;
  }

  /** The node did not take the show: if it was for the key, that is the place to go on at. */
  refused(status: number): void {
    if (status !== 401 && status !== 403) return;
    this.form.hidden = false;
    this.input.setAttribute('aria-invalid', 'true');
    this.input.focus();
  }

  show(state: UplinkState): void {
    const { s } = this;
    const on = !['off', 'refused', 'taken'].includes(state);
    this.form.hidden = on;
    write(this.go, on ? s.end : state === 'taken' ? s.takeBack : s.start);
    this.go.dataset['on'] = String(on);
  }

  private complain(words: string): void {
    write(this.hint, words === '' ? this.s.keyHint : words);
    this.hint.dataset['wrong'] = String(words !== '');
    this.input.setAttribute('aria-invalid', String(words !== ''));
  }

  private offerLook(): void {
    const button = element('show-key', HTMLButtonElement);
    button.append(icon('eye'));
    button.ariaLabel = button.title = this.s.showKey;
    button.addEventListener('click', () => {
      const shown = this.input.type === 'password';
      this.input.type = shown ? 'text' : 'password';
      button.setAttribute('aria-pressed', String(shown));
    });
  }
}
