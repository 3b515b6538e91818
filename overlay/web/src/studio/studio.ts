import type { Api } from './api';
import type { ServerClock } from './clock';
import type { Commands } from './commands';
import { h, type Props } from './dom';
import type { Notices } from './notices';
import type { Store } from './store';
import type { StudioStrings } from './strings';
import type { Access } from './types';

/** Studio is what all parts of the page have in common. */
export interface Studio {
  readonly s: StudioStrings;
  /** The reader's language, for names, amounts and times. */
  readonly lang: string;
  readonly store: Store;
  readonly api: Api;
  /** What the token was good for when the page was opened. */
  readonly access: Access;
  readonly clock: ServerClock;
  readonly commands: Commands;
  readonly notices: Notices;
}

/**
 * A button that changes something: it does nothing while the page is not connected or the token only reads, nor while what it began is not
 * acknowledged. It keeps the focus all the while, so aria-disabled it is.
 */
export function commandButton(studio: Studio, props: Omit<Props, 'click'>, run: () => Promise<unknown>): HTMLButtonElement {
  const button = h('button', props);
  button.dataset['command'] = '';
  mark(button, studio.store.changeable);
  button.addEventListener('click', () => void press(studio, button, run));
  return button;
}

async function press(studio: Studio, button: HTMLButtonElement, run: () => Promise<unknown>): Promise<void> {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  mark(button, studio.store.changeable);
  try {
    await run();
  } finally {
    button.removeAttribute('aria-busy');
    mark(button, studio.store.changeable);
  }
}

function mark(button: HTMLElement, connected: boolean): void {
  const disabled = String(!connected || button.hasAttribute('aria-busy'));
  if (button.getAttribute('aria-disabled') !== disabled) button.setAttribute('aria-disabled', disabled);
}

/** Lets all such buttons know whether something can be changed. */
export function markCommands(connected: boolean): void {
  for (const button of document.querySelectorAll<HTMLElement>('[data-command]')) mark(button, connected);
}

/** Calls f at once and then each second on the second, for countdowns; until its element is gone. */
export function everySecond(element: HTMLElement, now: () => number, f: () => void): void {
  const tick = () => {
    if (!element.isConnected) return;
    f();
    setTimeout(tick, 1000 - (now() % 1000));
  };
  f();
  setTimeout(tick, 1000 - (now() % 1000));
}
