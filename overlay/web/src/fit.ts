/** The picture fills the screen when that hides no more than this share of it. */
const coverLoss = 0.14;

/** Lets the picture fill the stage when their shapes are nearly the same. */
export function fit(stage: HTMLElement, video: HTMLVideoElement): void {
  const picture = video.videoWidth / video.videoHeight;
  const screen = stage.clientWidth / stage.clientHeight;
  const lost = 1 - Math.min(picture / screen, screen / picture);
  stage.dataset['fit'] = lost < coverLoss ? 'cover' : 'contain';
}
