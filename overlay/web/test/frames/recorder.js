// Runs in the page that is watched, in front of its own scripts. It notes which frame is on the screen together with which
// cards, whenever either has changed.
//
// The counter is read off the video element in an animation frame callback: that is the last script before the page is
// painted, behind requestVideoFrameCallback, so that what it sees of the document is what this paint shows. It looks when
// the browser told of another picture, and when the cards are others than at the last paint.
(() => {
  // samples are [time, frame, cards, whether the browser told of a picture for this paint]. frame is the one that was painted
  // last; -1 before the first.
  const recorder = (window.recorder = { samples: [], frame: -1, start });
  const { cells, decode } = window.counter;
  const canvas = new OffscreenCanvas(cells * 4, 4);
  const context = canvas.getContext('2d', { willReadFrequently: true });

  function read(video) {
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || video.videoWidth === 0) return -1;
    // The middle of the row, which is the picture's upper sixth.
    const { videoWidth, videoHeight } = video;
    context.drawImage(video, 0, videoHeight / 18, videoWidth, videoHeight / 18, 0, 0, cells * 4, 4);
    const line = context.getImageData(0, 2, cells * 4, 1).data;
    const row = [];
    for (let i = 0; i < cells; i++) row.push(line[(i * 4 + 2) * 4]);
    return decode(row);
  }

  /** Begins to watch a video element; cards gives what the document shows as one word for each slot. */
  function start(video, cards) {
    let before = '';
    let told = false;
    const paint = (now) => {
      requestAnimationFrame(paint);
      const shown = cards();
      // While the element seeks it still has the picture from where it came.
      if ((!told && shown === before) || video.seeking) return;
      const frame = read(video);
      if (frame >= 0) recorder.samples.push([now, frame, shown, told]);
      if (frame >= 0) recorder.frame = frame;
      before = shown;
      told = false;
    };
    requestAnimationFrame(paint);
    const presented = () => {
      video.requestVideoFrameCallback(presented);
      told = true;
    };
    video.requestVideoFrameCallback(presented);
  }
})();
