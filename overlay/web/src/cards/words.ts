/** The words on cards in one language. */
export interface CardWords {
  /** BCP 47; numbers are written as there. */
  readonly lang: string;
  /** What the struck price is (EU directive 98/6/EC, Article 6a). */
  readonly prior: string;
  readonly only: (count: string, plural: boolean) => string;
  readonly soldOut: string;
  readonly outOfStock: string;
  readonly preOrder: string;
  readonly limited: string;
  readonly startsIn: string;
  readonly endsIn: string;
  readonly over: string;
  readonly copy: string;
  readonly copied: string;
  readonly opensIn: string;
  readonly closesIn: string;
  readonly closed: string;
  readonly claim: string;
  readonly open: string;
  readonly newTab: string;
}

const en: CardWords = {
  lang: 'en',
  prior: 'lowest price of the last 30 days',
  only: (count) => `Only ${count} left`,
  soldOut: 'Sold out',
  outOfStock: 'Out of stock',
  preOrder: 'Pre-order',
  limited: 'Limited stock',
  startsIn: 'starts in',
  endsIn: 'ends in',
  over: 'ended',
  copy: 'Copy',
  copied: 'Copied',
  opensIn: 'opens in',
  closesIn: 'closes in',
  closed: 'closed',
  claim: 'Claim',
  open: 'View',
  newTab: 'opens in a new tab',
};

const zh: CardWords = {
  lang: 'zh',
  prior: '过去30天最低价',
  only: (count) => `仅剩${count}件`,
  soldOut: '已售罄',
  outOfStock: '暂时缺货',
  preOrder: '预售',
  limited: '库存有限',
  startsIn: '距开始',
  endsIn: '距结束',
  over: '已结束',
  copy: '复制',
  copied: '已复制',
  opensIn: '距开启',
  closesIn: '距关闭',
  closed: '已关闭',
  claim: '领取',
  open: '查看',
  newTab: '在新标签页中打开',
};

const es: CardWords = {
  lang: 'es',
  prior: 'precio más bajo de los últimos 30 días',
  only: (count, plural) => (plural ? `Solo quedan ${count}` : `Solo queda ${count}`),
  soldOut: 'Agotado',
  outOfStock: 'Sin existencias',
  preOrder: 'Reserva',
  limited: 'Existencias limitadas',
  startsIn: 'empieza en',
  endsIn: 'termina en',
  over: 'terminada',
  copy: 'Copiar',
  copied: 'Copiado',
  opensIn: 'abre en',
  closesIn: 'cierra en',
  closed: 'cerrado',
  claim: 'Conseguir',
  open: 'Ver',
  newTab: 'se abre en una pestaña nueva',
};

const de: CardWords = {
  lang: 'de',
  prior: 'niedrigster Preis der letzten 30 Tage',
  only: (count) => `Nur noch ${count}`,
  soldOut: 'Ausverkauft',
  outOfStock: 'Nicht vorrätig',
  preOrder: 'Vorbestellung',
  limited: 'Begrenzter Vorrat',
  startsIn: 'beginnt in',
  endsIn: 'endet in',
  over: 'beendet',
  copy: 'Kopieren',
  copied: 'Kopiert',
  opensIn: 'öffnet in',
  closesIn: 'schließt in',
  closed: 'geschlossen',
  claim: 'Sichern',
  open: 'Ansehen',
  newTab: 'öffnet sich in einem neuen Tab',
};

const ar: CardWords = {
  lang: 'ar',
  prior: 'أدنى سعر خلال آخر 30 يومًا',
  only: (count) => `بقي ${count} فقط`,
  soldOut: 'نفدت الكمية',
  outOfStock: 'غير متوفر',
  preOrder: 'طلب مسبق',
  limited: 'كمية محدودة',
  startsIn: 'يبدأ خلال',
  endsIn: 'ينتهي خلال',
  over: 'انتهى',
  copy: 'نسخ',
  copied: 'تم النسخ',
  opensIn: 'يفتح خلال',
  closesIn: 'يغلق خلال',
  closed: 'مغلق',
  claim: 'احصل عليه',
  open: 'عرض',
  newTab: 'يفتح في علامة تبويب جديدة',
};

const tables: ReadonlyMap<string, CardWords> = new Map([en, zh, es, de, ar].map((words) => [words.lang, words]));

/** The words for the first of the viewer's languages that there are any for, else English. */
export function wordsFor(languages: readonly string[]): CardWords {
  for (const tag of languages) {
    const words = tables.get(tag.toLowerCase().split('-')[0] ?? '');
    // The viewer's own tag: digits differ from one region to another.
    if (words) return { ...words, lang: tag };
  }
  return en;
}
