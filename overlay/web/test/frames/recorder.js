// Runs in the page that is watched, in front of its own scripts. It notes which frame is on the screen together with which
// cards, for every picture that the page paints.
//
// The counter is read off the video element in an animation frame callback: that is the last script before the page is
// painted, behind requestVideoFrameCallback, so that what it sees of the document is what this paint shows. It notes each
// change of either. The frames of which the page was told by requestVideoFrameCallback are counted, too: a page whose
// thread had no time is told of none.
(() => {
  // frame is the one that was painted last; -1 before the first.
  const recorder = (window.recorder = { samples: [], told: [], frame: -1, start });
  const { cells, decode } = window.counter;
  const canvas = new OffscreenCanvas(cells * 4, 4);
  const context = canvas.getContext('2d', { willReadFrequently: true });

  function read(video) {
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || video.videoWidth === 0) return -1;
    // The middle lines of the row, of 32 in 180.
    context.drawImage(video, 0, (video.videoHeight * 12) / 180, video.videoWidth, (video.videoHeight * 8) / 180, 0, 0, cells * 4, 4);
    const line = context.getImageData(0, 2, cells * 4, 1).data;
    const row = [];
    for (let i = 0; i < cells; i++) row.push(line[(i * 4 + 2) * 4]);
    return decode(row);
  }

  /** Begins to watch a video element; cards gives what the document shows as one word for each slot. */
  function start(video, cards) {
    const { samples, told } = recorder;
    let last = '';
    const paint = (now) => {
      const frame = read(video);
      const shown = cards();
      const key = `${frame} ${shown}`;
      // While the element seeks it still has the picture from where it came.
      if (frame >= 0 && key !== last && !video.seeking) {
        last = key;
        recorder.frame = frame;
        samples.push([now, frame, shown]);
      }
      requestAnimationFrame(paint);
    };
    requestAnimationFrame(paint);
    const presented = (now) => {
      const frame = read(video);
      if (frame >= 0) told.push([now, frame]);
      video.requestVideoFrameCallback(presented);
    };
    video.requestVideoFrameCallback(presented);
  }
})();
