import { h, write } from '../studio/dom';
import type { PublishStrings } from './strings';

/** How long a button says that it has been done; ms. */
const saidFor = 2000;

/** Offers the link to the watch page, and the way to the studio. */
export function offerLinks(s: PublishStrings, stream: string, section: HTMLElement): void {
  const name = encodeURIComponent(stream);
  const url = new URL(`/watch/${name}`, location.href).href;
  const field = h('input', { id: 'watch-link', label: s.share, attributes: { readonly: '', value: url, dir: 'ltr' } });
  field.addEventListener('focus', () => field.select());
  const done = h('span', { attributes: { role: 'status' } });
  const copy = h('button', { id: 'copy-link', click: () => void copied() }, done);
  write(done, s.copy);
  const copied = async () => {
    try {
      await navigator.clipboard.writeText(url);
    } catch {
      // No clipboard on pages without https: the link is marked, to be copied by hand.
      field.select();
      return;
    }
    write(done, s.copied);
    setTimeout(() => write(done, s.copy), saidFor);
  };
  const send = h('button', {
    text: s.send,
    click: () => {
      navigator.share({ title: stream, url }).catch(() => {
        // The reader has thought better of it.
      });
    },
  });
  send.hidden = typeof navigator.share !== 'function';
  const link = (text: string, href: string) => h('a', { text, attributes: { href, target: '_blank', rel: 'noopener' } });
  section.append(
    h('h2', { text: s.share }),
    h('p', { class: 'hint', text: s.shareWhat }),
    field,
    h('div', { class: 'choices' }, copy, send),
    link(s.watch, url),
    link(s.studio, `/studio/${name}`),
  );
}
