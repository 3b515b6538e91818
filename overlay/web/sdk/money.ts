import { direction } from './text';
import type { Price } from './types';

// Which currency people in a region count in: what decides between offers when a card has several.
const currencies = new Map<string, string>();
const table =
  'EUR:AD,AT,BE,BG,CY,DE,EE,ES,FI,FR,GR,HR,IE,IT,LT,LU,LV,MC,ME,MT,NL,PT,SI,SK,SM,VA,XK USD:EC,PA,PR,SV,US ' +
  'AED:AE ARS:AR AUD:AU BDT:BD BHD:BH BRL:BR CAD:CA CHF:CH,LI CLP:CL CNY:CN COP:CO CRC:CR CZK:CZ DKK:DK,FO,GL DZD:DZ ' +
  'EGP:EG GBP:GB,GG,IM,JE GEL:GE GHS:GH HKD:HK HUF:HU IDR:ID ILS:IL INR:IN ISK:IS JOD:JO JPY:JP KES:KE KRW:KR KWD:KW ' +
  'KZT:KZ LBP:LB LKR:LK MAD:MA MOP:MO MXN:MX MYR:MY NGN:NG NOK:NO NZD:NZ OMR:OM PEN:PE PHP:PH PKR:PK PLN:PL QAR:QA ' +
  'RON:RO RSD:RS RUB:RU SAR:SA SEK:SE SGD:SG THB:TH TND:TN TRY:TR TWD:TW UAH:UA UYU:UY VND:VN ZAR:ZA';
for (const group of table.split(' ')) {
  const [currency = '', regions = ''] = group.split(':');
  for (const region of regions.split(',')) currencies.set(region, currency);
}

/** The currency of a region; '' when it is not in the table. */
export function currencyOf(region: string): string {
  return currencies.get(region.toUpperCase()) ?? '';
}

const amount = /^(0|[1-9][0-9]{0,11})(\.[0-9]{1,8})?$/;

/** An amount as it is written in the first of the languages; null when it is none. */
export function price(value: unknown, currency: unknown, languages: readonly string[]): Price | null {
  if (typeof value !== 'string' || !amount.test(value)) return null;
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) return null;
  // Browsers round some currencies to what is customary, such as whole forints: a price is shown as it is.
  const written = value.split('.')[1]?.length ?? 0;
  const usual = new Intl.NumberFormat([...languages], { style: 'currency', currency });
  const digits = Math.max(written, usual.resolvedOptions().minimumFractionDigits ?? 0);
  const format =
    written === 0
      ? usual
      : new Intl.NumberFormat([...languages], {
          style: 'currency',
          currency,
          minimumFractionDigits: digits,
          maximumFractionDigits: digits,
        });
  const lang = format.resolvedOptions().locale;
  return { value, currency, text: format.format(Number(value)), lang, dir: direction(lang) };
}
