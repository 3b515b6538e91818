// The host of the show: changes cards in every way there is, one after the other, and keeps account of which picture each
// change was meant for.

/** What comes in turn: appears, changes, changes, disappears. */
const acts = ['show', 'patch', 'show', 'hide'];
const cards = ['c0', 'c1', 'c2'];

export class Host {
  /** What each change was meant to be: {frame, shows, way}; frame is null where the node chooses it. */
  meant = [];
  /** By sequence within an epoch, the way in which an API command came: "EPOCH-SEQ". */
  ways = new Map();
  #revs = new Map(cards.map((id) => [id, 1]));
  #act = 0;
  #way = 0;
  #main = null;
  #shown = 0;
  #stay = '';

  constructor(base, stream, token) {
    this.url = `${base}/api/v1/streams/${stream}`;
    this.token = token;
  }

  async ask(method, path, body) {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...(body && { 'content-type': type }) },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: status ${answer.status}: ${text}`);
    return text && JSON.parse(text);
  }

  /** Fills the list. */
  async prepare() {
    const offers = [{ price: '19.90', priceCurrency: 'EUR' }];
    await this.ask('PUT', '/cards', [...cards, 'stay'].map((id) => ({ id, name: `Card ${id}`, offers })));
  }

  /** Shows a card in a second slot, which stays there. */
  async stay() {
    this.#note(await this.ask('PUT', '/slots/side', { card: 'stay' }), 'API, at once');
    this.#stay = 'side:stay/1';
  }

  /** What should be shown now. */
  get words() {
    const main = this.#main && `main:${this.#main}/${this.#revs.get(this.#main)}`;
    return [main, this.#stay].filter(Boolean).join(' ');
  }

  /**
   * Makes a change that is meant for a frame of the publisher's that lies a little ahead, or for a later one where that has
   * gone meanwhile. ways are the names of ways: those of the publisher, "now" and "at". date tells when a frame is taken.
   */
  async change(publisher, frame, ways, date) {
    const act = acts[this.#act++ % acts.length];
    let way = ways[this.#way++ % ways.length];
    if (way === 'at' && act === 'patch') way = 'now';
    if (act === 'show') this.#main = cards[this.#shown++ % cards.length];
    const card = this.#main;
    if (act === 'patch') this.#revs.set(card, this.#revs.get(card) + 1);
    if (act === 'hide') this.#main = null;
    const patch = { description: `Revision ${this.#revs.get(card)}` };
    const api = {
      show: (at) => this.ask('PUT', '/slots/main', { card, ...(at && { at }) }),
      patch: () => this.ask('PATCH', `/cards/${card}`, patch),
      hide: (at) => this.ask('DELETE', `/slots/main${at ? `?at=${encodeURIComponent(at)}` : ''}`),
    };
    const meant = { frame, shows: this.words, act };
    if (way === 'now') {
      await publisher.sent(frame);
      meant.after = publisher.last;
      this.#note(await api[act](), 'API, at once');
      Object.assign(meant, { frame: null, before: publisher.last, way: 'API, at once' });
    } else if (way === 'at') {
      await publisher.sent(frame - 12);
      meant.frame = Math.max(frame, publisher.last + 6);
      // A little before the picture is taken, so that rounding to milliseconds does not matter: the first one after counts.
      await api[act](new Date(date(meant.frame) - 15).toISOString());
      meant.way = 'API, at a time';
    } else {
      const command = { show: { slot: 'main', card }, patch: { card, patch }, hide: { slot: 'main' } }[act];
      meant.frame = publisher.send(frame, way, { pushcart: act, ...command });
      meant.way = way;
    }
    this.meant.push(meant);
  }

  #note({ epoch, seq }, way) {
    this.ways.set(`${epoch}-${seq}`, way);
  }
}
