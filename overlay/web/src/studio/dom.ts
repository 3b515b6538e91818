/** What an element gets beside its children. Text becomes text nodes, never markup. */
export interface Props {
  readonly class?: string;
  readonly id?: string;
  readonly text?: string;
  readonly title?: string;
  readonly label?: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly click?: (event: MouseEvent) => void;
}

type Child = Node | string | null;

/** Makes an element. label is its name for those who do not see it. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (props.class !== undefined) made.className = props.class;
  if (props.id !== undefined) made.id = props.id;
  if (props.text !== undefined) made.textContent = props.text;
  if (props.title !== undefined) made.title = props.title;
  if (props.label !== undefined) made.setAttribute('aria-label', props.label);
  for (const [name, value] of Object.entries(props.data ?? {})) made.dataset[name] = value;
  for (const [name, value] of Object.entries(props.attributes ?? {})) made.setAttribute(name, value);
  const { click } = props;
  if (click) made.addEventListener('click', (event) => click(event as MouseEvent));
  if (made instanceof HTMLButtonElement && props.attributes?.['type'] === undefined) made.type = 'button';
  made.append(...children.filter((child) => child !== null));
  return made;
}

const paths = {
  add: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  close: 'm6 6 12 12M18 6 6 18',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  grip: 'M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01',
  help: 'M9.2 9a2.9 2.9 0 1 1 4.3 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.8h.01',
  leave: 'M14 4H6v16h8M10 12h10m-3.5-3.5L20 12l-3.5 3.5',
  muted: 'M4 9v6h4l5 4V5L8 9zM16 9.5l5 5m0-5-5 5',
  loud: 'M4 9v6h4l5 4V5L8 9zM16 9a4.2 4.2 0 0 1 0 6m2.4-8.4a7.6 7.6 0 0 1 0 10.8',
  transfer: 'M8 20V5m0 0L4 9m4-4 4 4m4-5v15m0 0 4-4m-4 4-4-4',
  list: 'M4 7h16M4 12h16M4 17h10',
  air: 'M12 12h.01M8.5 15.5a5 5 0 0 1 0-7m7 0a5 5 0 0 1 0 7M5.6 18.4a9 9 0 0 1 0-12.8m12.8 0a9 9 0 0 1 0 12.8',
  eye: 'M3 12s3.3-6 9-6 9 6 9 6-3.3 6-9 6-9-6-9-6zm9 2.4a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8z',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zm0-14v5l3.4 2',
  pulse: 'M3 12h4l3-7 4 14 3-7h4',
  microphone: 'M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zm-6-4v1a6 6 0 0 0 12 0v-1m-6 7v3',
  microphoneOff: 'M15 10V6a3 3 0 0 0-6 0v6a3 3 0 0 0 .6 1.8M6 11v1a6 6 0 0 0 9 5.2M18 11v1m-6 6v3M4 4l16 16',
  camera: 'M3 8a2 2 0 0 1 2-2h9a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zm13 3 5-3v8l-5-3',
  cameraOff: 'M9 6h5a2 2 0 0 1 2 2v6m-1.2 3.4a2 2 0 0 1-.8.6H5a2 2 0 0 1-2-2V8a2 2 0 0 1 1.2-1.8M16 11l5-3v8l-3-1.8M4 4l16 16',
  flip: 'M4 11a8 8 0 0 1 13.7-4.7L20 8.5M20 4v4.5h-4.5M20 13a8 8 0 0 1-13.7 4.7L4 15.5M4 20v-4.5h4.5',
  settings: 'M4 7h9m5 0h2M4 17h3m5 0h8M15.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM9.5 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
} as const;
export type IconName = keyof typeof paths;

/** A line drawing, for the eye only. */
export function icon(name: IconName): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', paths[name]);
  svg.append(path);
  return svg;
}

/** Writes a text only where it differs: what stays is not read out again. */
export function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A component of a keyed list. */
export interface Piece {
  readonly el: HTMLElement;
}

/** Children keeps one component for each key, in order, and lets those alone that stay. */
export class Children<P extends Piece> {
  private readonly pieces = new Map<string, P>();

  constructor(private readonly parent: HTMLElement) {}

  get(key: string): P | undefined {
    return this.pieces.get(key);
  }

  /** Makes what is missing, removes what is not named, and brings the rest into order; the focus stays where it is. */
  set(keys: readonly string[], make: (key: string) => P): void {
    const focused = document.activeElement;
    const wanted = new Set(keys);
    for (const [key, piece] of this.pieces) {
      if (wanted.has(key)) continue;
      piece.el.remove();
      this.pieces.delete(key);
    }
    let next = this.parent.firstElementChild;
    for (const key of keys) {
      const piece = this.pieces.get(key) ?? make(key);
      this.pieces.set(key, piece);
      if (piece.el === next) next = next.nextElementSibling;
      else this.parent.insertBefore(piece.el, next);
    }
    if (focused instanceof HTMLElement && focused !== document.activeElement && this.parent.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
  }
}
