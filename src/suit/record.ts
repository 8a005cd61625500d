/** What the interpreter notes down by the reporting policies, in the form of SUIT reports. */
import type { Parameters } from './parameters.ts';

/** SUIT_Record (suit-report section 3): where a decision was taken and what was measured. */
export interface SuitRecord {
  readonly kind: 'record';
  /** The way down the tree of manifests; empty: the root manifest. */
  readonly manifestId: readonly number[];
  /** The manifest's key of the section; 3 (common) for the shared sequence. */
  readonly section: number;
  /** Bytes from the section's start. */
  readonly offset: number;
  readonly componentIndex: number;
  /** Measured values, not those of the manifest. */
  readonly properties: Parameters;
}

/** system-property-claims: what was measured of one component. */
export interface SystemClaims {
  readonly kind: 'claims';
  readonly componentId: readonly Uint8Array[];
  readonly properties: Parameters;
}

export type ReportEntry = SuitRecord | SystemClaims;
