/** Countries and territories (ISO 3166-1 alpha-2). */
const regions =
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD ' +
  'CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF ' +
  'GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN ' +
  'KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA ' +
  'NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI ' +
  'SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI ' +
  'VN VU WF WS YE YT ZA ZM ZW';

/** Languages that are offered first; any other can be written. */
const languages = [
  'en',
  'de',
  'es',
  'fr',
  'it',
  'pt',
  'nl',
  'pl',
  'tr',
  'ar',
  'he',
  'hi',
  'id',
  'ja',
  'ko',
  'ru',
  'th',
  'vi',
  'zh',
];

/** What browsers that list no currencies are given. */
const currencies = ['EUR', 'USD', 'GBP', 'CHF', 'CNY', 'JPY', 'KRW', 'INR', 'BRL', 'MXN', 'PLN', 'SEK', 'TRY', 'AED'];

/** A code with its name in the reader's language. */
export interface Named {
  readonly code: string;
  readonly name: string;
}

function named(codes: readonly string[], lang: string, type: 'region' | 'language'): Named[] {
  const names = new Intl.DisplayNames([lang], { type });
  const name = (code: string) => {
    try {
      return names.of(code) ?? code;
    } catch {
      return code;
    }
  };
  return codes.map((code) => ({ code, name: name(code) })).sort((a, b) => a.name.localeCompare(b.name, lang));
}

/** All regions, by name. */
export function regionList(lang: string): Named[] {
  return named(regions.split(' '), lang, 'region');
}

/** The languages offered, with those that cards have, by name. */
export function languageList(lang: string, also: readonly string[]): Named[] {
  return named([...new Set([...languages, ...also])], lang, 'language');
}

/** Currencies (ISO 4217) that the browser knows. */
export function currencyList(): readonly string[] {
  return 'supportedValuesOf' in Intl ? Intl.supportedValuesOf('currency') : currencies;
}
