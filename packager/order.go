package packager

import (
	"cmp"
	"math"
	"slices"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// easy is the most pixels of a picture that a player on any network may start with.
const easy = 1280 * 720

func pixels(w *writer) int { return w.track.Width * w.track.Height }

// inOrder sorts variants. The first is the one that players start with: AVPlayer takes it as it is, which Apple's HLS Authoring
// Specification wants to be of about 2 Mbit/s, and hls.js takes its rate for its first estimate of the network. So the best
// that is no larger than 720p goes first, and the others from the best down. Of the same size, what plays anywhere goes in
// front, and a rung, whose rate is chosen, before the publisher's own. Shaka Player and the rest do not heed the order.
func inOrder(a, b *writer) int {
	return cmp.Or(
		btoi(pixels(a) > easy)-btoi(pixels(b) > easy),
		pixels(b)-pixels(a),
		btoi(rangeRank(a) > 0)-btoi(rangeRank(b) > 0),
		btoi(a.track.Codec != stream.H264)-btoi(b.track.Codec != stream.H264),
		btoi(a.own.rung == nil)-btoi(b.own.rung == nil),
		compareRates(b, a),
	)
}

// quality is what a variant's score follows from: its picture, or its sound where it has none, and the group of its audio.
type quality struct {
	w     *writer
	group int
}

// score gives variants their places in the order of what viewers should rather get (SCORE, rfc8216bis 4.4.6.2), the best the
// highest. The figures mean nothing but that, and where there is one variant there is none. Size counts first, then the range:
// players leave out HDR where it cannot be shown. Of the same pictures, the publisher's own are the best.
func score(all []window.Variant, made []quality) {
	if len(all) < 2 {
		return
	}
	ranks := make([]int, len(all))
	for i := range ranks {
		ranks[i] = i
	}
	slices.SortStableFunc(ranks, func(i, j int) int { return worse(made[i], made[j]) })
	for n, i := range ranks {
		all[i].Score = float64(n + 1)
	}
}

// worse compares two variants by quality.
func worse(a, b quality) int {
	return cmp.Or(
		btoi(a.w.r.Video)-btoi(b.w.r.Video),
		pixels(a.w)-pixels(b.w),
		rangeRank(a.w)-rangeRank(b.w),
		compareRates(a.w, b.w),
		btoi(a.w.own.rung == nil)-btoi(b.w.own.rung == nil),
		b.w.own.id-a.w.own.id, // rungs are numbered from the best down
		b.group-a.group,
	)
}

// rangeRank orders dynamic ranges.
func rangeRank(w *writer) int {
	switch w.track.Color.Transfer {
	case stream.TransferPQ:
		return 2
	case stream.TransferHLG:
		return 1
	}
	return 0
}

// compareRates compares frame rates, but for what measuring them makes of them.
func compareRates(a, b *writer) int {
	return cmp.Compare(math.Round(frameRate(a)), math.Round(frameRate(b)))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
