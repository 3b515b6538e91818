import { element } from '../element';
import { choose } from '../strings';
import { OnAir } from './air';
import { Api } from './api';
import { SlotBar } from './bar';
import { pick } from './cards';
import { ServerClock } from './clock';
import { currencyList, languageList } from './codes';
import { Commands } from './commands';
import { askAboutConflict } from './conflict';
import { h, icon, write, type IconName } from './dom';
import { addCard, editCard } from './editor';
import { Feed, type Link } from './feed';
import { Health } from './health';
import { openHelp } from './help';
import { command, typing, type KeyCommand } from './keys';
import { ProductList } from './list';
import { Login, type Entered } from './login';
import { Notices } from './notices';
import { Preview } from './preview';
import { Session, streamName } from './session';
import { Store } from './store';
import { studioStrings, type StudioStrings } from './strings';
import { markCommands, type Studio } from './studio';
import { Timeline } from './timeline';
import type { Access } from './types';
import { openTransfer, takeDrops } from './transfer';
import { Viewers } from './viewers';

/** The parts of the page that a small screen shows one at a time. */
const tabs: readonly (readonly [string, IconName, (s: StudioStrings) => string])[] = [
  ['products', 'list', (s) => s.productsTab],
  ['air', 'air', (s) => s.onAirTab],
  ['viewers', 'eye', (s) => s.viewersTab],
  ['timeline', 'clock', (s) => s.timelineTab],
  ['stream', 'pulse', (s) => s.streamTab],
];

/** Turns to a part of the page. */
function turn(tab: string): void {
  element('studio', HTMLElement).dataset['tab'] = tab;
  for (const button of element('tabs', HTMLElement).querySelectorAll<HTMLElement>('button')) {
    if (button.dataset['tab'] === tab) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}

function makeTabs(s: StudioStrings): void {
  const nav = element('tabs', HTMLElement);
  nav.setAttribute('aria-label', s.tabs);
  for (const [tab, drawing, words] of tabs) {
    nav.append(h('button', { data: { tab }, click: () => turn(tab) }, icon(drawing), h('span', { text: words(s) })));
    element(tab, HTMLElement).setAttribute('aria-label', words(s));
  }
  turn('products');
}

/** What the datalists of the form offer. */
function offerCodes(lang: string): void {
  const list = (id: string, options: readonly HTMLOptionElement[]) =>
    document.body.append(h('datalist', { id }, ...options));
  const option = (value: string, label = '') => h('option', { attributes: label === '' ? { value } : { value, label } });
  list(
    'languages',
    languageList(lang, []).map(({ code, name }) => option(code, name)),
  );
  list(
    'currencies',
    currencyList().map((code) => option(code)),
  );
}

/** Says that there is no connection, for as long as there is none, and else that nothing can be changed where the token only reads. */
function showLink(store: Store, s: StudioStrings, retry: () => void): void {
  const banner = element('link', HTMLElement);
  const again = h('button', { text: s.retry, click: retry });
  let shown = '';
  store.onchange(() => {
    element('studio', HTMLElement).dataset['link'] = store.link;
    markCommands(store.changeable);
    const state =
      store.link === 'lost'
        ? `${s.lost} ${store.linkDetail || s.lostMore}`
        : store.link === 'connecting'
          ? s.connecting
          : store.readOnly
            ? s.readOnly
            : '';
    if (state === shown) return;
    shown = state;
    banner.replaceChildren(...(state === '' ? [] : [h('span', { text: state }), ...(store.link === 'lost' ? [again] : [])]));
  });
}

/** Connects and keeps the store up to date. */
function connect(store: Store, api: Api, refused: () => void): Feed {
  const feed = new Feed(api.url('/card-events'), api.authorization, {
    view: (view) => {
      store.view = view;
      // What a view changes is told once, together with the state of the connection where that changes, too.
      if (store.connected) store.changed();
    },
    link: (link: Link, detail: string) => {
      store.link = link;
      store.linkDetail = detail;
      if (link === 'refused') refused();
      else store.changed();
    },
  });
  window.addEventListener('online', () => feed.connect());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && !store.connected) feed.connect();
  });
  return feed;
}

/** Does what a key asks for. */
function obey(key: KeyCommand, studio: Studio, list: ProductList, bar: SlotBar): void {
  const { store, commands, s } = studio;
  switch (key.kind) {
    case 'show': {
      const id = list.at(key.card);
      if (id !== undefined) void commands.show(store.slot, id);
      break;
    }
    case 'hide':
      void commands.hide(store.slot);
      break;
    case 'slot':
      bar.next();
      break;
    case 'search':
      turn('products');
      list.search();
      break;
    case 'add':
      addCard(studio);
      break;
    case 'help':
      openHelp(s);
      break;
  }
}

/** Makes the page of an operator whose token is good. */
function open(stream: string, { token, access }: Entered, lang: string, s: StudioStrings, session: Session): void {
  const store = new Store();
  store.readOnly = access.role === 'viewer';
  const clock = new ServerClock();
  const api = new Api(stream, token, clock);
  if (store.readOnly) api.readOnly = s.readOnly;
  const notices = new Notices(element('said', HTMLElement), element('failed', HTMLElement), s.close);
  // A fresh page tries the token once more, says what is wrong with it and asks for another.
  const refused = () => location.reload();
  api.onrefused = refused;
  const feed = connect(store, api, refused);
  const name = (id: string) => pick(store.card(id)?.card.name, lang) || id;
  const commands = new Commands({
    api,
    store,
    s,
    name,
    said: (text) => notices.say(text),
    failed: (text) => notices.fail(text),
    reconnect: () => feed.connect(),
    ask: (base, theirs, mine) => askAboutConflict(s, base, theirs, mine),
  });
  const studio: Studio = { s, lang, store, api, access, clock, commands, notices };

  const section = (id: string) => element(id, HTMLElement);
  const list = new ProductList(studio, section('products'), {
    edit: (card) => editCard(studio, card),
    copy: (card) => addCard(studio, card.card),
    add: () => addCard(studio),
    transfer: () => openTransfer(studio),
    look: (id) => {
      store.looked = id;
      turn('viewers');
      store.changed();
      section('viewers').focus();
    },
  });
  const bar = new SlotBar(studio, section('bar'));
  new OnAir(studio, section('air'));
  new Viewers(studio, section('viewers'));
  new Timeline(studio, section('timeline'));
  new Health(studio, section('stream'), section('signal'));
  new Preview(access.playlist, async () => (await api.read<Access>('/access')).playlist, choose([lang]).strings, s);
  showLink(store, s, () => feed.connect());
  takeDrops(studio);
  document.addEventListener('keydown', (event) => {
    const place = { typing: typing(event.target), dialog: document.querySelector('dialog[open]') !== null };
    const key = command(event, place);
    if (!key) return;
    event.preventDefault();
    obey(key, studio, list, bar);
  });
  element('leave', HTMLButtonElement).addEventListener('click', () => {
    session.token = null;
    location.reload();
  });
  element('help', HTMLButtonElement).addEventListener('click', () => openHelp(s));
  section('studio').hidden = false;
  store.changed();
  feed.connect();
}

function main(): void {
  const { lang } = choose(navigator.languages);
  const s = studioStrings(lang);
  const stream = streamName(location.pathname);
  document.documentElement.lang = lang;
  document.title = s.title(stream);
  write(element('name', HTMLElement), stream);
  for (const [id, drawing, words] of [
    ['help', 'help', s.help],
    ['leave', 'leave', s.leave],
  ] as const) {
    const button = element(id, HTMLButtonElement);
    button.replaceChildren(icon(drawing));
    button.title = words;
    button.setAttribute('aria-label', words);
  }
  makeTabs(s);
  offerCodes(lang);
  const session = new Session(stream);
  let inside = false;
  const login = new Login(stream, session, s, (entered) => {
    // A second token, in the address of a page that is open already: the page begins anew with it.
    if (inside) location.reload();
    else open(stream, entered, lang, s, session);
    inside = true;
  });
  void login.start();
}

main();
