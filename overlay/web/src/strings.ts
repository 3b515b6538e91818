/** The pages' words in one language. */
export interface Strings {
  readonly streams: string;
  readonly noStreams: string;
  readonly unreachable: string;
  readonly live: string;
  readonly jump: string;
  readonly play: string;
  readonly pause: string;
  readonly mute: string;
  readonly unmute: string;
  readonly fullscreen: string;
  readonly behind: (seconds: string) => string;
  readonly connecting: string;
  readonly buffering: string;
  readonly reconnecting: string;
  readonly waiting: string;
  readonly waitingMore: string;
  readonly away: string;
  readonly awayMore: string;
  readonly ended: string;
  readonly endedMore: string;
  readonly paused: string;
  readonly blocked: string;
  readonly unsupported: string;
  readonly unsupportedMore: string;
  readonly expired: string;
  readonly expiredMore: string;
  readonly unsigned: string;
  readonly unsignedMore: string;
  readonly badLink: string;
  readonly badLinkMore: string;
  readonly notHere: string;
  readonly full: string;
  readonly fullMore: string;
  readonly sound: string;
  readonly soundNumber: (n: number) => string;
  readonly size: string;
  readonly automatic: string;
  readonly original: (name: string) => string;
  readonly goLive: string;
  readonly goLiveMore: string;
  readonly streamName: string;
  readonly nameWrong: string;
}

const en: Strings = {
  streams: 'Live now',
  noStreams: 'Nobody is live at the moment. Shows appear here as they start.',
  unreachable: 'The server cannot be reached. Trying again…',
  live: 'LIVE',
  jump: 'Jump to live',
  play: 'Play',
  pause: 'Pause',
  mute: 'Mute',
  unmute: 'Unmute',
  fullscreen: 'Full screen',
  behind: (seconds) => `${seconds} s`,
  connecting: 'Connecting…',
  buffering: 'Loading…',
  reconnecting: 'Reconnecting…',
  waiting: 'Waiting for the host',
  waitingMore: 'The show starts here by itself.',
  away: 'The host will be right back',
  awayMore: 'The show goes on here by itself.',
  ended: 'The show has ended',
  endedMore: 'Waiting for the host. The next show starts here by itself.',
  paused: 'Paused',
  blocked: 'Tap play to watch',
  unsupported: 'This browser cannot play the show',
  unsupportedMore: 'Please try a current version of Chrome, Edge, Firefox or Safari.',
  expired: 'This link has expired',
  expiredMore: 'Ask whoever gave it to you for a new one.',
  unsigned: 'This show needs a link of its own',
  unsignedMore: 'Ask the host for the link to watch it.',
  badLink: 'This link does not work',
  badLinkMore: 'Use it exactly as it was given to you, or ask for a new one.',
  notHere: 'This link is not for the country that you are in',
  full: 'All places are taken',
  fullMore: 'You are let in as soon as somebody leaves.',
  sound: 'Language',
  soundNumber: (n) => `Sound ${n}`,
  size: 'Quality',
  automatic: 'Auto',
  original: (name) => `${name} source`,
  goLive: 'Go live',
  goLiveMore: 'With the camera of this device. You need a stream key.',
  streamName: 'Name of the stream',
  nameWrong: 'A name begins with a letter or a digit and has up to 64 letters, digits, hyphens and underscores.',
};

const zh: Strings = {
  streams: '正在直播',
  noStreams: '目前没有直播。开播后会显示在这里。',
  unreachable: '无法连接服务器，正在重试…',
  live: '直播',
  jump: '回到直播',
  play: '播放',
  pause: '暂停',
  mute: '静音',
  unmute: '打开声音',
  fullscreen: '全屏',
  behind: (seconds) => `${seconds} 秒`,
  connecting: '正在连接…',
  buffering: '正在加载…',
  reconnecting: '正在重新连接…',
  waiting: '等待主播开播',
  waitingMore: '开播后将自动播放。',
  away: '主播马上回来',
  awayMore: '直播将自动继续。',
  ended: '直播已结束',
  endedMore: '等待主播，下一场直播将自动开始。',
  paused: '已暂停',
  blocked: '点击播放按钮观看',
  unsupported: '此浏览器无法播放直播',
  unsupportedMore: '请使用最新版本的 Chrome、Edge、Firefox 或 Safari。',
  expired: '此链接已过期',
  expiredMore: '请向给您链接的人索取新链接。',
  unsigned: '此直播需要专用链接',
  unsignedMore: '请向主播索取观看链接。',
  badLink: '此链接无效',
  badLinkMore: '请按收到的原样使用，或索取新链接。',
  notHere: '此链接不适用于您所在的国家或地区',
  full: '名额已满',
  fullMore: '有人离开后将自动进入。',
  sound: '语言',
  soundNumber: (n) => `音轨 ${n}`,
  size: '画质',
  automatic: '自动',
  original: (name) => `${name} 原画`,
  goLive: '开始直播',
  goLiveMore: '使用此设备的摄像头，需要推流密钥。',
  streamName: '直播名称',
  nameWrong: '名称以字母或数字开头，最多 64 个字母、数字、连字符和下划线。',
};

const es: Strings = {
  streams: 'En directo',
  noStreams: 'Ahora mismo no hay nadie en directo. Las emisiones aparecen aquí al empezar.',
  unreachable: 'No se puede conectar con el servidor. Reintentando…',
  live: 'EN VIVO',
  jump: 'Volver al directo',
  play: 'Reproducir',
  pause: 'Pausar',
  mute: 'Silenciar',
  unmute: 'Activar sonido',
  fullscreen: 'Pantalla completa',
  behind: (seconds) => `${seconds} s`,
  connecting: 'Conectando…',
  buffering: 'Cargando…',
  reconnecting: 'Reconectando…',
  waiting: 'Esperando al anfitrión',
  waitingMore: 'La emisión empezará aquí automáticamente.',
  away: 'El anfitrión vuelve enseguida',
  awayMore: 'La emisión continuará aquí automáticamente.',
  ended: 'La emisión ha terminado',
  endedMore: 'Esperando al anfitrión. La próxima emisión empezará aquí automáticamente.',
  paused: 'En pausa',
  blocked: 'Toca reproducir para ver la emisión',
  unsupported: 'Este navegador no puede reproducir la emisión',
  unsupportedMore: 'Prueba con una versión actual de Chrome, Edge, Firefox o Safari.',
  expired: 'Este enlace ha caducado',
  expiredMore: 'Pide uno nuevo a quien te lo dio.',
  unsigned: 'Esta emisión necesita un enlace propio',
  unsignedMore: 'Pide al anfitrión el enlace para verla.',
  badLink: 'Este enlace no funciona',
  badLinkMore: 'Úsalo tal como lo recibiste o pide uno nuevo.',
  notHere: 'Este enlace no es para el país en el que estás',
  full: 'No quedan plazas',
  fullMore: 'Entrarás automáticamente cuando alguien se vaya.',
  sound: 'Idioma',
  soundNumber: (n) => `Sonido ${n}`,
  size: 'Calidad',
  automatic: 'Automática',
  original: (name) => `${name} original`,
  goLive: 'Emitir',
  goLiveMore: 'Con la cámara de este dispositivo. Hace falta una clave de emisión.',
  streamName: 'Nombre de la emisión',
  nameWrong: 'Un nombre empieza con una letra o cifra y tiene hasta 64 letras, cifras, guiones y guiones bajos.',
};

const tables: ReadonlyMap<string, Strings> = new Map([
  ['en', en],
  ['zh', zh],
  ['es', es],
]);

/** The first of the reader's languages that there is a table for, else English; lang is for the document's attribute. */
export function choose(languages: readonly string[]): { lang: string; strings: Strings } {
  for (const tag of languages) {
    const lang = tag.toLowerCase().split('-')[0] ?? '';
    const strings = tables.get(lang);
    if (strings) return { lang, strings };
  }
  return { lang: 'en', strings: en };
}
