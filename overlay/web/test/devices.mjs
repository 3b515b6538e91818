// A phone, and Chromium's fake camera and microphone.

/**
 * Arguments for a browser with four cameras and a microphone that beeps; nobody is asked for permission. The second camera's
 * pictures are of a kind (16 bits of depth) that browsers show but do not send.
 */
export const devices = [
  '--use-fake-device-for-media-stream=device-count=4,fps=30',
  '--use-fake-ui-for-media-stream',
  // Where there is no network but the machine itself, media go over that.
  '--allow-loopback-in-peer-connection',
  // Addresses are not hidden behind names that only a multicast DNS would know.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

export const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
