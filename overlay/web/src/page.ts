import { signedPrefix, streamName } from './address';
import { ShowCards } from './cards/show';
import { viewerOf } from './cards/viewer';
import { Choices } from './choices';
import { Controls } from './controls';
import { element } from './element';
import { fit } from './fit';
import { Menus } from './menus';
import { Player } from './player';
import { publish } from './stats';
import { Status } from './status';
import { choose } from './strings';

/** Without a touch for this long only the picture is left; ms. */
const idleAfter = 4000;

/** Marks the stage idle when nobody has touched anything for a while. */
function watchIdle(stage: HTMLElement, playing: () => boolean): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wake = () => {
    stage.dataset['idle'] = 'false';
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (playing()) stage.dataset['idle'] = 'true';
      else wake();
    }, idleAfter);
  };
  for (const type of ['pointermove', 'pointerdown', 'keydown', 'focusin']) stage.addEventListener(type, wake);
  document.addEventListener('keydown', wake);
  wake();
}

function main(): void {
  const viewer = viewerOf(location.search, navigator.languages);
  const { lang, strings } = choose(viewer.languages);
  document.documentElement.lang = lang;
  const name = streamName(location.pathname);
  document.title = `${name} · Pushcart`;
  element('name', HTMLElement).textContent = name;

  const stage = element('stage', HTMLElement);
  const video = element('video', HTMLVideoElement);
  const show = `${signedPrefix(location.pathname)}/live/${encodeURIComponent(name)}`;
  // A recent picture until the first one plays. Streams of which nothing is made have none: then there is nothing to see yet.
  video.poster = `${show}/poster.jpg`;
  const player = new Player(video, new URL(`${show}/index.m3u8`, location.href).href);
  const status = new Status(stage, element('headline', HTMLElement), element('detail', HTMLElement), strings);
  const controls = new Controls(stage, video, player, strings);
  const cards = new ShowCards(video, element('overlay', HTMLElement), viewer);
  const choices = new Choices(viewer.languages);
  const menus = new Menus(choices, lang, strings);
  player.onsource = (source) => cards.follow(source.cards);
  player.onchoices = (source) => {
    choices.apply(source);
    menus.show(source);
  };
  const update = () => {
    if (['waiting', 'ended', 'refused'].includes(player.state)) cards.over();
    status.show(player.state, player.refusal);
    controls.update();
  };
  player.onchange = update;
  setInterval(() => controls.update(), 500);
  video.addEventListener('resize', () => fit(stage, video));
  window.addEventListener('resize', () => fit(stage, video));
  watchIdle(stage, () => player.state === 'playing');

  publish(player.stats());
  player.start();
  update();
}

main();
