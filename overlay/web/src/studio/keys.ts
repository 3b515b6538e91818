/** What a key asks for. card counts from 0. */
export type KeyCommand =
  { readonly kind: 'show'; readonly card: number } | { readonly kind: 'hide' | 'help' | 'search' | 'slot' | 'add' };

/** The parts of a keyboard event that count. */
export interface Key {
  readonly key: string;
  readonly repeat: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly isComposing: boolean;
}

/** Where the keyboard is when a key comes. */
export interface Place {
  /** In a field that takes text or has keys of its own. */
  readonly typing: boolean;
  /** A dialog is open, to which all keys belong. */
  readonly dialog: boolean;
}

/** What a key asks for; null when it is not ours. A key that is held down asks once. */
export function command(event: Key, place: Place): KeyCommand | null {
  if (event.repeat || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return null;
  if (place.typing || place.dialog) return null;
  if (/^[1-9]$/.test(event.key)) return { kind: 'show', card: Number(event.key) - 1 };
  switch (event.key) {
    case '0':
    case 'Escape':
      return { kind: 'hide' };
    case '?':
      return { kind: 'help' };
    case '/':
      return { kind: 'search' };
    case 's':
      return { kind: 'slot' };
    case 'n':
      return { kind: 'add' };
    default:
      return null;
  }
}

/** Inputs that take no text: a key pressed on them is none that is typed. */
const silent = new Set(['button', 'checkbox', 'file', 'radio', 'reset', 'submit']);

/** Whether keys on this element are typing: fields, editable text, and lists that jump to what begins with a letter. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !silent.has(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
