/** An event of a stream of server-sent events. */
export interface ServerEvent {
  readonly type: string;
  readonly data: string;
}

/** More than this without an end is no event of ours; UTF-16 units. */
const longest = 32 << 20;

/** EventParser reads text/event-stream as it comes in (WHATWG HTML 9.2.6). Ids and waits are of no use to the studio. */
export class EventParser {
  private rest = '';
  private type = '';
  private data: string[] = [];
  private size = 0;

  /** Takes the next piece of the stream and returns the events that end in it. */
  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    this.rest += piece;
    let from = 0;
    for (;;) {
      const end = lineEnd(this.rest, from);
      if (end === null) break;
      const event = this.line(this.rest.slice(from, end.at));
      if (event) events.push(event);
      from = end.next;
    }
    this.rest = this.rest.slice(from);
    if (this.rest.length + this.size > longest) throw new Error('an event is too long');
    return events;
  }

  private line(line: string): ServerEvent | null {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.type = value;
    if (field === 'data') {
      this.data.push(value);
      this.size += value.length;
    }
    return null;
  }

  private dispatch(): ServerEvent | null {
    const event = { type: this.type || 'message', data: this.data.join('\n') };
    const empty = this.data.length === 0;
    this.type = '';
    this.data = [];
    this.size = 0;
    return empty ? null : event;
  }
}

/** Where the next line ends and the one after it begins; a CR at the very end may be half of a CRLF and has to wait. */
function lineEnd(text: string, from: number): { at: number; next: number } | null {
  for (let at = from; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === 10) return { at, next: at + 1 };
    if (c !== 13) continue;
    if (at + 1 === text.length) return null;
    return { at, next: text.charCodeAt(at + 1) === 10 ? at + 2 : at + 1 };
  }
  return null;
}
