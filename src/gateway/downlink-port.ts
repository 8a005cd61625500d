/** The port to devices: an embedded broker or an external one stands behind it. */
import type { Channel } from '../api/downlink.ts';

export interface DownlinkHandler {
  /** `device` is who the session belongs to, by its key; never what a payload says. */
  message(device: string, channel: Exclude<Channel, 'offer' | 'time'>, payload: Uint8Array): void;
  /** Runs work that calls `message` several times: what that writes reaches the disk at once. Throws what it throws. */
  together?(work: () => void): void;
  connected(device: string): void;
  disconnected(device: string): void;
}

export interface Downlink extends AsyncDisposable {
  /** Resolves once the message is handed to the broker. An empty retained payload takes the retained one away. */
  publish(
    device: string,
    channel: 'offer' | 'time',
    payload: string,
    options: { readonly retain: boolean },
  ): Promise<void>;
  online(device: string): boolean;
  /** Ends the device's live session, if it has one. */
  disconnect(device: string): void;
  /** One listener; set before the downlink is opened. */
  listen(handler: DownlinkHandler): void;
}
