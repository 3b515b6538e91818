import { element } from './element';
import { choose, type Strings } from './strings';

/** How often the list is read while somebody looks at it; ms. */
const refreshEvery = 5000;

/** The little that this page uses of GET /api/v1/streams. */
interface Listed {
  name: string;
  state: string;
}

/** Reads the API's answer, letting entries of another shape go. */
function listed(answer: unknown): Listed[] {
  const list = typeof answer === 'object' && answer !== null && 'streams' in answer ? answer.streams : answer;
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null || !('name' in entry) || typeof entry.name !== 'string') return [];
    const state = 'state' in entry && typeof entry.state === 'string' ? entry.state : 'live';
    return [{ name: entry.name, state }];
  });
}

function row(stream: Listed, strings: Strings): HTMLLIElement {
  const item = document.createElement('li');
  const link = document.createElement('a');
  const title = document.createElement('span');
  const badge = document.createElement('span');
  link.href = `/watch/${encodeURIComponent(stream.name)}`;
  link.dataset['state'] = stream.state;
  title.className = 'title';
  title.textContent = stream.name;
  badge.className = 'badge';
  badge.textContent = stream.state === 'live' ? strings.live : strings.waiting;
  link.append(title, badge);
  item.append(link);
  return item;
}

/** Offers the way to the page that goes live, for a stream of any name that nodes take. */
function offerToGoLive(strings: Strings): void {
  const input = element('stream', HTMLInputElement);
  const error = element('stream-error', HTMLElement);
  element('go-live-title', HTMLElement).textContent = element('go', HTMLButtonElement).textContent = strings.goLive;
  element('go-live-more', HTMLElement).textContent = strings.goLiveMore;
  element('stream-label', HTMLElement).textContent = strings.streamName;
  element('go-live', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim();
    const good = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name);
    input.setAttribute('aria-invalid', String(!good));
    error.textContent = good ? '' : strings.nameWrong;
    if (good) location.assign(`/publish/${name}`);
  });
}

function main(): void {
  const { lang, strings } = choose(navigator.languages);
  document.documentElement.lang = lang;
  element('title', HTMLElement).textContent = strings.streams;
  offerToGoLive(strings);
  const list = element('streams', HTMLElement);
  const note = element('note', HTMLElement);
  let shown = '';

  const refresh = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch('/api/v1/streams', { cache: 'no-store' });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const streams = listed(await response.json());
      const key = JSON.stringify(streams);
      // A list that has not changed is left alone, with the reader's focus in it.
      if (key !== shown) list.replaceChildren(...streams.map((stream) => row(stream, strings)));
      shown = key;
      note.textContent = streams.length === 0 ? strings.noStreams : '';
    } catch {
      note.textContent = strings.unreachable;
    }
  };
  document.addEventListener('visibilitychange', () => void refresh());
  setInterval(() => void refresh(), refreshEvery);
  void refresh();
}

main();
