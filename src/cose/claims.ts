/** Labels of COSE headers and CWT claims (docs/spec/statement.md). */

// COSE header parameters: RFC 9052 3.1, RFC 9596 (typ), RFC 9597 (CWT claims), RFC 9942 (receipts).
export const ALG = 1;
export const CRIT = 2;
export const KID = 4;
export const IV = 5;
export const CWT_CLAIMS = 15;
export const TYP = 16;
export const RECEIPTS = 394;
export const VDS = 395;
export const VDP = 396;

// CWT claims: RFC 8392.
export const ISS = 1;
export const SUB = 2;
export const AUD = 3;

// Claims of this project, of the range for private use.
export const COUNTER = -65601;
export const VERSION = -65602;
export const KIND = -65603;
export const APPLIES = -65604;
export const VIA = -65605;
export const SUPPORT_UNTIL = -65606;
export const DOCUMENTS = -65607;
/** -65608 is kept for sealed releases (T21). */
export const MAC = -65609;
/** Of a device's report: size of the head it acted under, its verdict on freshness, image stored but not run. */
export const HEAD_SIZE = -65610;
export const FRESHNESS = -65611;
export const OPAQUE = -65612;
