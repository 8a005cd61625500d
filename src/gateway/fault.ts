/** Moments at which a test ends the gateway's process; by default nobody is told (docs/decisions/fault-points.md). */
export type GatewayFault =
  | 'proof.saved'
  | 'image.part'
  | 'image.stored'
  | 'offer.made'
  | 'status.written';

export type GatewayFaultPoint = (name: GatewayFault) => void;
