// A bare page: a player, the SDK that the node serves, and a list with an item for each card that is shown.
//
//	?player=hls|shaka  &src=MULTIVARIANT PLAYLIST  &sdk=MODULE
const query = new URLSearchParams(location.search);
const src = query.get('src');
const video = document.getElementById('video');
const list = document.getElementById('cards');
const { attach } = await import(query.get('sdk'));

/** What went wrong, for the test. */
window.complaints = [];

/** Shows what the SDK tells of. */
function follow(cards) {
  const item = (slot) => list.querySelector(`li[data-slot="${CSS.escape(slot)}"]`);
  const put = ({ slot, card, rev }) => {
    const li = item(slot) ?? list.appendChild(document.createElement('li'));
    li.dataset.slot = slot;
    li.dataset.shows = `${slot}:${card.id}/${rev}`;
    li.style.background = colour(li.dataset.shows);
    li.textContent = `${card.name.text} ${card.price?.text ?? ''}`;
  };
  cards.addEventListener('show', put);
  cards.addEventListener('update', put);
  cards.addEventListener('hide', ({ slot }) => item(slot)?.remove());
  cards.addEventListener('rejected', ({ reason }) => window.complaints.push(`rejected: ${reason}`));
}

/** A colour for what a slot shows, by which a picture of the screen can be read: FNV-1a, of which 24 bits are taken. */
function colour(text) {
  let hash = 0x811c9dc5;
  for (const c of text) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193) >>> 0;
  return `#${(hash >>> 8).toString(16).padStart(6, '0')}`;
}
window.colour = colour;

/** What the page shows, as one text. */
window.shown = () => Array.from(list.children, (li) => li.dataset.shows).sort().join(' ');

const players = {
  async hls() {
    const { default: Hls } = await import('/hls.mjs');
    let cards = null;
    const open = () => {
      const hls = new Hls({ lowLatencyMode: true, enableWorker: false, backBufferLength: 60 });
      hls.on(Hls.Events.ERROR, (_, { fatal, details }) => {
        if (!fatal) return;
        // The node is gone, or its stream is: another instance, until one is there again.
        window.complaints.push(`fatal: ${details}`);
        hls.destroy();
        setTimeout(open, 500);
      });
      if (cards) cards.use(hls);
      else follow((cards = attach(video, hls)));
      hls.on(Hls.Events.MANIFEST_PARSED, () => video.play().catch(() => {})); // interrupted when another instance takes over
      hls.loadSource(src);
      hls.attachMedia(video);
      window.player = hls;
    };
    open();
    window.live = () => window.player.liveSyncPosition;
    // Level 0 is the lower one. Media that are buffered beyond the next fragment are thrown away. (Its other way to switch,
    // currentLevel, throws all away and may then begin with a part that no picture can be decoded of.)
    window.quality = (high) => {
      window.player.nextLevel = high ? 1 : 0;
    };
    window.qualityShown = () => window.player.levels[window.player.currentLevel]?.bitrate > 1e6;
  },

  async shaka() {
    await new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = '/shaka.js';
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(script);
    });
    const { shaka } = window;
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    window.player = player;
    player.configure({
      abr: { enabled: false },
      streaming: { lowLatencyMode: true, rebufferingGoal: 0.2, bufferBehind: 60 },
      manifest: { retryParameters: { maxAttempts: 1 } },
    });
    let opening = null;
    // The node is gone, or its stream is: the player loads it again, until it is there.
    const again = (code) => {
      window.complaints.push(`error: ${code}`);
      opening ??= setTimeout(open, 500);
    };
    const open = async () => {
      opening = null;
      try {
        await player.load(src);
        await video.play();
      } catch (error) {
        if (error.code !== shaka.util.Error.Code.LOAD_INTERRUPTED) again(error.code);
      }
    };
    player.addEventListener('error', ({ detail }) => again(detail.code));
    await player.attach(video);
    follow(attach(video, player));
    await open();
    window.live = () => player.seekRange().end - 1;
    const tracks = () => player.getVariantTracks().sort((a, b) => a.bandwidth - b.bandwidth);
    window.quality = (high) => player.selectVariantTrack(tracks().at(high ? -1 : 0));
    window.qualityShown = () => tracks().find((track) => track.active)?.bandwidth > 1e6;
  },
};

players[query.get('player')]();
