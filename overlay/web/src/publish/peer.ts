import { encodings, type Quality } from './quality';
import { fragment, restarted, withStartBitrate } from './sdp';
import type { Link, LinkState } from './uplink';
import type { Resource, Whip } from './whip';

/** Candidates that come within this time of one another are told together; ms. */
const gatherFor = 50;
/** The show begins at this share of its full bit rate. */
const startShare = 0.6;

/** What is sent, and how. */
export interface Media {
  readonly stream: MediaStream;
  readonly quality: Quality;
  /** Whether the picture is sent in several sizes. */
  readonly several: boolean;
}

/** The video codecs in the order in which they are offered: what HLS can carry to every viewer first. */
export function preferred<C extends { mimeType: string }>(codecs: readonly C[]): C[] {
  const rank = ({ mimeType }: C) => (mimeType.toLowerCase() === 'video/h264' ? 0 : 1);
  return [...codecs].sort((a, b) => rank(a) - rank(b));
}

/** Peer is one WebRTC session that sends media to a node over WHIP. */
export class Peer implements Link {
  onstate: (state: LinkState) => void = () => {};

  private readonly connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  private readonly stopped = new AbortController();
  private resource: Resource | null = null;
  private candidates: string[] = [];
  private gathered = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly whip: Whip,
    private readonly media: () => Media,
  ) {
    const { connection } = this;
    connection.addEventListener('connectionstatechange', () => this.changed());
    connection.addEventListener('icecandidate', ({ candidate }) => this.found(candidate));
  }

  async open(): Promise<void> {
    const { connection, whip, stopped } = this;
    const { stream, quality, several } = this.media();
    const init: RTCRtpTransceiverInit = { direction: 'sendonly', streams: [stream] };
    for (const track of stream.getAudioTracks()) connection.addTransceiver(track, init);
    for (const track of stream.getVideoTracks()) {
      const transceiver = connection.addTransceiver(track, { ...init, sendEncodings: encodings(quality, several) });
      const codecs = RTCRtpSender.getCapabilities('video')?.codecs ?? [];
      // Browsers that do not know the function offer H.264, and the node chooses.
      transceiver.setCodecPreferences?.(preferred(codecs));
    }
    const offer = await connection.createOffer();
    stopped.signal.throwIfAborted();
    // The node's answer names the servers that candidates are gathered with, so it is asked before they are (4.3.1, 4.6).
    const resource = await whip.offer(offer.sdp ?? '', stopped.signal);
    if (stopped.signal.aborted) {
      resource.end();
      stopped.signal.throwIfAborted();
    }
    this.resource = resource;
    if (resource.servers.length > 0) {
      connection.setConfiguration({ ...connection.getConfiguration(), iceServers: resource.servers });
    }
    await connection.setLocalDescription(offer);
    const start = Math.round((quality.bitrate * startShare) / 1000);
    await connection.setRemoteDescription({ type: 'answer', sdp: withStartBitrate(resource.answer, start) });
    await this.steady();
    for (const sender of connection.getSenders()) {
      const { transport } = sender;
      transport?.addEventListener('statechange', () => {
        if (transport.state === 'closed') this.tell('gone');
      });
      // After a restart the connection may have been connected all along: a new way shows that it has been found.
      transport?.iceTransport?.addEventListener('selectedcandidatepairchange', () => this.changed());
    }
  }

  async restart(): Promise<void> {
    const { connection, resource } = this;
    const remote = connection.remoteDescription?.sdp;
    if (!resource || remote === undefined) throw new Error('there is no session yet');
    const offer = await connection.createOffer({ iceRestart: true });
    const answer = await resource.restart(fragment(offer.sdp ?? '', [], false));
    if (this.stopped.signal.aborted) return;
    this.candidates = [];
    this.gathered = false;
    await connection.setLocalDescription(offer);
    await connection.setRemoteDescription({ type: 'answer', sdp: restarted(remote, answer) });
  }

  get alive(): boolean {
    return this.connection.connectionState === 'connected';
  }

  close(goodbye: boolean): void {
    clearTimeout(this.timer);
    this.stopped.abort();
    this.connection.close();
    if (goodbye) this.resource?.end();
  }

  /** Sends another track in a track's place, without a new session. */
  async replace(track: MediaStreamTrack): Promise<void> {
    const transceiver = this.connection.getTransceivers().find(({ receiver }) => receiver.track.kind === track.kind);
    await transceiver?.sender.replaceTrack(track);
  }

  /** Brings the bit rates to what the quality may cost now. */
  async adjust(): Promise<void> {
    const sender = this.video();
    if (!sender) return;
    const parameters = sender.getParameters();
    const { quality, several } = this.media();
    const wanted = encodings(quality, several);
    parameters.encodings.forEach((encoding, i) => {
      const { maxBitrate } = wanted[i] ?? {};
      if (maxBitrate !== undefined) encoding.maxBitrate = maxBitrate;
    });
    await sender.setParameters(parameters);
  }

  stats(): Promise<RTCStatsReport> {
    return this.connection.getStats();
  }

  /** Keeps the picture's size when bits or time are short: each change of it costs every viewer a new beginning. */
  private async steady(): Promise<void> {
    const sender = this.video();
    if (!sender) return;
    const parameters: RTCRtpSendParameters & { degradationPreference?: string } = sender.getParameters();
    parameters.degradationPreference = 'maintain-resolution';
    // A browser that does not know it goes on without.
    await sender.setParameters(parameters).catch(() => {});
  }

  private video(): RTCRtpSender | undefined {
    return this.connection.getSenders().find(({ track }) => track?.kind === 'video');
  }

  private changed(): void {
    switch (this.connection.connectionState) {
      case 'connected':
      case 'disconnected':
      case 'failed':
        this.tell(this.connection.connectionState);
    }
  }

  private tell(state: LinkState): void {
    if (!this.stopped.signal.aborted) this.onstate(state);
  }

  /** Collects candidates and tells the node of them, a few at a time; null is the end of them. */
  private found(candidate: RTCIceCandidate | null): void {
    if (candidate === null) this.gathered = true;
    else if (candidate.candidate !== '') this.candidates.push(candidate.candidate);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.trickle(), gatherFor);
  }

  private async trickle(): Promise<void> {
    const sdp = this.connection.localDescription?.sdp;
    if (sdp === undefined || !this.resource || this.stopped.signal.aborted) return;
    const body = fragment(sdp, this.candidates.splice(0), this.gathered);
    // The node learns our addresses from the checks that it gets; being told of them is a help, no need.
    await this.resource.trickle(body).catch(() => {});
  }
}
