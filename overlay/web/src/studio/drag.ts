import { aside, landing, type Box } from './order';

/** The edge of the list within which it scrolls while a row is held over it, and how far with each picture; px. */
const edge = 56;
const step = 9;

/** What a sortable list is made of. */
export interface Sortable {
  /** The element whose children are the rows. */
  readonly list: HTMLElement;
  /** The element that scrolls. */
  readonly scroller: HTMLElement;
  /** Whether rows may be moved at the moment. */
  allowed(): boolean;
  /** Called when a row was moved from one place to another. */
  moved(from: number, to: number): void;
  /** Called when a row was let go, wherever it is now. */
  released(): void;
}

/** A row while it is held. */
class Held {
  private readonly rows: HTMLElement[];
  private readonly boxes: Box[];
  private readonly began: number;
  private y: number;
  private frame = 0;
  private to: number;

  constructor(
    private readonly of: Sortable,
    private readonly from: number,
    y: number,
  ) {
    this.rows = [...of.list.children].filter((row) => row instanceof HTMLElement);
    const scrolled = of.scroller.scrollTop;
    this.boxes = this.rows.map((row) => {
      const { top, height } = row.getBoundingClientRect();
      return { top: top + scrolled, height };
    });
    this.to = from;
    this.y = y;
    this.began = y + scrolled;
    of.list.dataset['sorting'] = '';
    this.row.dataset['held'] = '';
    this.frame = requestAnimationFrame(() => this.scroll());
  }

  private get row(): HTMLElement {
    return this.rows[this.from] as HTMLElement;
  }

  /** Follows the finger. */
  follow(y: number): void {
    this.y = y;
    const box = this.boxes[this.from] as Box;
    const by = y + this.of.scroller.scrollTop - this.began;
    this.to = landing(this.boxes, this.from, box.top + box.height / 2 + by);
    for (const [i, row] of this.rows.entries()) {
      const shift = i === this.from ? by : aside(i, this.from, this.to) * box.height;
      row.style.transform = shift === 0 ? '' : `translateY(${shift}px)`;
    }
  }

  /** Lets go; keep tells whether the row stays where it is now. */
  release(keep: boolean): void {
    cancelAnimationFrame(this.frame);
    for (const row of this.rows) row.style.transform = '';
    delete this.of.list.dataset['sorting'];
    delete this.row.dataset['held'];
    if (keep && this.to !== this.from) this.of.moved(this.from, this.to);
  }

  /** Scrolls while the finger is near an end of what can be seen of the list. */
  private scroll(): void {
    const { top, bottom } = this.of.scroller.getBoundingClientRect();
    const by = this.y < top + edge ? -step : this.y > bottom - edge ? step : 0;
    if (by !== 0) {
      this.of.scroller.scrollTop += by;
      this.follow(this.y);
    }
    this.frame = requestAnimationFrame(() => this.scroll());
  }
}

/** The place that a key moves a row to; null for keys that move none. */
function target(key: string, from: number, last: number): number | null {
  switch (key) {
    case 'ArrowUp':
      return Math.max(0, from - 1);
    case 'ArrowDown':
      return Math.min(last, from + 1);
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return null;
  }
}

/** Lets a row be moved by its handle: with a finger or a mouse, and with the arrow keys, Home and End. */
export function sortable(handle: HTMLElement, row: HTMLElement, of: Sortable): void {
  let held: Held | null = null;
  const place = () => [...of.list.children].indexOf(row);
  const release = (keep: boolean) => {
    if (!held) return;
    held.release(keep);
    held = null;
    of.released();
  };
  handle.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || !of.allowed()) return;
    handle.setPointerCapture(event.pointerId);
    held = new Held(of, place(), event.clientY);
  });
  handle.addEventListener('pointermove', (event) => held?.follow(event.clientY));
  handle.addEventListener('pointerup', () => release(true));
  handle.addEventListener('lostpointercapture', () => release(false));
  handle.addEventListener('keydown', (event) => {
    if (held && event.key === 'Escape') {
      release(false);
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const to = target(event.key, place(), of.list.children.length - 1);
    if (to === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (of.allowed() && to !== place()) of.moved(place(), to);
  });
}
