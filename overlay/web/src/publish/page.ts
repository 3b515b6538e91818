import { streamName } from '../address';
import { viewerOf } from '../cards/viewer';
import { element } from '../element';
import { choose } from '../strings';
import { Desk } from './desk';
import { publishStrings } from './strings';

function main(): void {
  const { lang } = choose(viewerOf(location.search, navigator.languages).languages);
  const s = publishStrings(lang);
  const stream = streamName(location.pathname);
  document.documentElement.lang = lang;
  document.title = `${s.title(stream)} · Pushcart`;
  element('name', HTMLElement).textContent = stream;
  new Desk(stream, s).start();
}

main();
