package conformance

// RuleID names a rule. IDs are stable: tests refer to them.
type RuleID string

// Rule is one statement that an origin keeps or breaks.
type Rule struct {
	ID RuleID
	// Section of the document that asks for it. A bare number or an appendix letter is a section of rfc8216bis;
	// "Authoring" is Apple's HLS Authoring Specification; "design" is a promise of this project beyond the documents.
	Section string
	// Text is the rule in one sentence.
	Text string
}

// Rules lists every rule that Check judges, in the order of the table.
func Rules() []Rule {
	var all []Rule
	for _, part := range [][]Rule{playlistRules, updateRules, directiveRules, multivariantRules, mediaRules, timedRules, httpRules} {
		all = append(all, part...)
	}
	return all
}

// Rules that the text of one playlist is held to.
const (
	RuleText          RuleID = "playlist-text"
	RuleHeader        RuleID = "playlist-header"
	RuleTag           RuleID = "playlist-tag"
	RuleAttributes    RuleID = "playlist-attributes"
	RuleVersion       RuleID = "playlist-version"
	RuleURI           RuleID = "playlist-uri"
	RuleTarget        RuleID = "target-duration"
	RulePartInf       RuleID = "part-inf"
	RulePartMax       RuleID = "part-duration-max"
	RulePartMin       RuleID = "part-duration-min"
	RulePartEven      RuleID = "part-duration-even"
	RulePartSum       RuleID = "part-sum"
	RulePartOld       RuleID = "part-only-at-edge"
	RulePartEdge      RuleID = "part-at-edge"
	RulePartOrder     RuleID = "part-tag-order"
	RuleHoldBack      RuleID = "hold-back"
	RulePartHoldBack  RuleID = "part-hold-back"
	RuleSkipUntil     RuleID = "can-skip-until"
	RuleSkipRanges    RuleID = "can-skip-dateranges"
	RuleBlockReload   RuleID = "can-block-reload"
	RuleMinDuration   RuleID = "live-duration"
	RuleMinSegments   RuleID = "live-segments"
	RuleNoType        RuleID = "live-no-playlist-type"
	RulePDT           RuleID = "pdt-present"
	RulePDTSum        RuleID = "pdt-accumulates"
	RuleMap           RuleID = "map-present"
	RuleMapChange     RuleID = "map-change"
	RuleDiscSeqTag    RuleID = "discontinuity-sequence-tag"
	RuleHintPresent   RuleID = "hint-present"
	RuleHintSingle    RuleID = "hint-single"
	RuleHintEnd       RuleID = "hint-after-end"
	RuleReports       RuleID = "reports-complete"
	RuleDateRange     RuleID = "daterange"
	RuleGapParts      RuleID = "gap-parts"
	RuleURIUnique     RuleID = "uri-unique"
	RuleIndependentIn RuleID = "independent-segments-once"
)

var playlistRules = []Rule{
	{RuleText, "4.1", "A playlist is UTF-8 without byte order mark and without control characters other than CR and LF."},
	{RuleHeader, "4.4.1.1", "The first line of a playlist is #EXTM3U."},
	{RuleTag, "4.4", "Each line is blank, a comment, a URI or a defined tag in its place, with its value's form, as often as is allowed."},
	{RuleAttributes, "4.2", "Attribute lists have no spaces, no name twice, the required attributes, and values of the defined type."},
	{RuleVersion, "8", "EXT-X-VERSION is at least what the tags and attributes in the playlist need."},
	{RuleURI, "4.1", "Each URI in a playlist is valid and resolves against the playlist's own."},
	{RuleTarget, "4.4.3.1", "Each EXTINF, rounded to whole seconds, is at most the target duration, which is at least 1."},
	{RulePartInf, "4.4.3.7", "A playlist with EXT-X-PART has EXT-X-PART-INF with a PART-TARGET above 0."},
	{RulePartMax, "4.4.4.9", "No partial segment is longer than PART-TARGET."},
	{RulePartMin, "4.4.4.9", "A partial segment lasts at least 85 % of PART-TARGET unless it is independent, a gap, before a gap or the last of its segment."},
	{RulePartEven, "design", "Being independent is no excuse: such a part too lasts 85 % of PART-TARGET unless it is the last of its segment or touches a gap."},
	{RulePartSum, "4.4.4.9", "The durations of a segment's parts add up to its EXTINF."},
	{RulePartOld, "6.2.2", "EXT-X-PART tags more than three target durations from the end are removed."},
	{RulePartEdge, "B.1", "Each segment within three target durations of the end is also given as parts."},
	{RulePartOrder, "4.4.4.9", "Discontinuity, map and date-time of a segment stand before its first EXT-X-PART."},
	{RuleHoldBack, "4.4.3.8", "HOLD-BACK is at least three target durations."},
	{RulePartHoldBack, "4.4.3.8", "PART-HOLD-BACK is present with parts and at least three times PART-TARGET."},
	{RuleSkipUntil, "4.4.3.8", "CAN-SKIP-UNTIL is present and at least six target durations."},
	{RuleSkipRanges, "Authoring 14.5", "A playlist with date ranges that offers delta updates has CAN-SKIP-DATERANGES=YES."},
	{RuleBlockReload, "B.1", "EXT-X-SERVER-CONTROL has CAN-BLOCK-RELOAD=YES."},
	{RuleMinDuration, "6.2.2", "Removing segments never leaves a live playlist shorter than three target durations."},
	{RuleMinSegments, "Authoring 8.11", "A live playlist from which segments were removed still has six."},
	{RuleNoType, "6.2.2", "A live playlist has no EXT-X-PLAYLIST-TYPE."},
	{RulePDT, "B.1", "Each segment has an EXT-X-PROGRAM-DATE-TIME with a time zone and milliseconds."},
	{RulePDTSum, "6.2.1", "Between discontinuities, program date-times advance by the durations in between."},
	{RuleMap, "Authoring 8.20", "Each segment has an EXT-X-MAP."},
	{RuleMapChange, "4.4.4.3", "EXT-X-MAP changes only at a discontinuity."},
	{RuleDiscSeqTag, "6.2.2", "A live playlist with a discontinuity, now or before, has EXT-X-DISCONTINUITY-SEQUENCE."},
	{RuleHintPresent, "B.1", "A live playlist with parts hints the next part."},
	{RuleHintSingle, "6.2.6", "A playlist has at most one preload hint of each type."},
	{RuleHintEnd, "4.4.5.3", "A playlist with EXT-X-ENDLIST has no preload hint."},
	{RuleReports, "B.1", "A live playlist has a rendition report with a relative URI for every other rendition, and for none twice."},
	{RuleDateRange, "4.4.5.1", "Date ranges have an ID and a start, one end not before it, time zones, a program date-time to refer to, and one value for each attribute."},
	{RuleGapParts, "6.2.1", "The parts of a segment marked as a gap are marked too."},
	{RuleURIUnique, "design", "A URI never stands for two segments or parts."},
	{RuleIndependentIn, "4.4.2.1", "EXT-X-INDEPENDENT-SEGMENTS in the multivariant playlist is not repeated in the media playlists."},
}

// Rules that hold between one version of a playlist and the next.
const (
	RuleTargetConstant  RuleID = "target-duration-constant"
	RulePartConstant    RuleID = "part-target-constant"
	RuleControlConstant RuleID = "server-control-constant"
	RuleSequence        RuleID = "media-sequence-forward"
	RuleAppendOnly      RuleID = "segments-append-only"
	RulePartsAppendOnly RuleID = "parts-append-only"
	RuleDiscSeq         RuleID = "discontinuity-sequence-stable"
	RuleEndFinal        RuleID = "end-is-final"
	RuleRangeKept       RuleID = "daterange-kept"
	RuleRangeConstant   RuleID = "daterange-constant"
	RulePacePart        RuleID = "pace-part"
	RulePaceSegment     RuleID = "pace-segment"
	RuleHintMatch       RuleID = "hint-match"
	RuleHintKept        RuleID = "hint-kept"
	RuleHintServed      RuleID = "hint-served"
	RuleHintGone        RuleID = "hint-unpublished"
	RuleReportFresh     RuleID = "report-fresh"
	RuleReportTrue      RuleID = "report-true"
)

var updateRules = []Rule{
	{RuleTargetConstant, "6.2.1", "The target duration never changes."},
	{RulePartConstant, "design", "PART-TARGET never changes."},
	{RuleControlConstant, "6.2.1", "EXT-X-SERVER-CONTROL never changes."},
	{RuleSequence, "6.2.2", "The media sequence number never goes back."},
	{RuleAppendOnly, "6.2.1", "Segments are appended at the end, removed from the front and never changed, so that a number keeps its URI."},
	{RulePartsAppendOnly, "6.2.1", "Parts are appended at the end, removed in order and never changed, and a segment's parts are complete with it."},
	{RuleDiscSeq, "6.2.2", "The discontinuity sequence number of a segment never changes."},
	{RuleEndFinal, "6.2.1", "After EXT-X-ENDLIST nothing is added."},
	{RuleRangeKept, "6.2.1", "A date range stays as long as any of it maps to a segment in the playlist."},
	{RuleRangeConstant, "4.4.5.1", "A date range may gain attributes, but none of them changes."},
	{RulePacePart, "6.2.1", "A new part comes within one part target of the last."},
	{RulePaceSegment, "6.2.1", "A new segment comes within 1.5 target durations of the last."},
	{RuleHintMatch, "4.4.5.3", "The part that is published next has the URI that was hinted."},
	{RuleHintKept, "6.2.6", "A hinted part is published, and not given up for the next segment's first."},
	{RuleHintServed, "6.2.6", "A request for the hinted part waits until the part is published and is answered with exactly its bytes."},
	{RuleHintGone, "6.2.6", "A request for a hinted part that is never published is answered Not Found."},
	{RuleReportFresh, "4.4.5.4", "A rendition report is as new as the playlist that has it."},
	{RuleReportTrue, "4.4.5.4", "A rendition report claims no part that the rendition's own playlist does not have."},
}

// Rules on delivery directives.
const (
	RuleBlockWaits     RuleID = "block-waits"
	RuleBlockSegment   RuleID = "block-segment"
	RuleBlockOld       RuleID = "block-old"
	RuleBlockRollover  RuleID = "block-rollover"
	RuleBlockFar       RuleID = "block-far"
	RuleBlockPartFar   RuleID = "block-part-far"
	RuleBlockPartAlone RuleID = "block-part-alone"
	RuleBlockMalformed RuleID = "block-malformed"
	RuleBlockTimeout   RuleID = "block-timeout"
	RuleBlockEnded     RuleID = "block-ended"
	RuleSkipEnded      RuleID = "skip-ended"
	RuleDeltaGiven     RuleID = "delta-given"
	RuleDeltaBoundary  RuleID = "delta-boundary"
	RuleDeltaEqual     RuleID = "delta-equal"
	RuleDeltaRanges    RuleID = "delta-dateranges"
	RuleDeltaRemoved   RuleID = "delta-removed"
)

var directiveRules = []Rule{
	{RuleBlockWaits, "6.2.5.2", "A request with _HLS_msn and _HLS_part is answered with a playlist that has that part or a later one."},
	{RuleBlockSegment, "6.2.5.2", "A request with _HLS_msn alone is answered with a playlist that has that whole segment or a later one."},
	{RuleBlockOld, "6.2.5.2", "A request for an old position is answered at once with the whole current playlist."},
	{RuleBlockRollover, "6.2.5.2", "A part index past the end of a segment means part 0 of the next segment."},
	{RuleBlockFar, "6.2.5.2", "_HLS_msn more than two past the last segment is answered 400."},
	{RuleBlockPartFar, "6.2.5.2", "_HLS_part past the last part by more than the advance part limit is answered 400."},
	{RuleBlockPartAlone, "6.2.5.2", "_HLS_part without _HLS_msn is answered 400."},
	{RuleBlockMalformed, "6.2.5.2", "A directive that is not a decimal integer is answered 400."},
	{RuleBlockTimeout, "6.2.5.2", "A request that cannot be met is answered 503 after three target durations, and not before."},
	{RuleBlockEnded, "6.2.5.2", "After EXT-X-ENDLIST _HLS_msn and _HLS_part are ignored."},
	{RuleSkipEnded, "6.2.5.1", "After EXT-X-ENDLIST _HLS_skip is ignored."},
	{RuleDeltaGiven, "6.2.5.1", "_HLS_skip is answered with a delta update that skips every segment past the skip boundary."},
	{RuleDeltaBoundary, "6.2.5.1", "No segment within the skip boundary is skipped, and none that the playlist does not have."},
	{RuleDeltaEqual, "6.2.5.1", "A delta update, put together with what it skips, equals the full playlist at the same position."},
	{RuleDeltaRanges, "6.2.5.1", "_HLS_skip=YES keeps all date ranges; v2 leaves out only those that are older than the skip boundary."},
	{RuleDeltaRemoved, "4.4.5.2", "A v2 delta update has RECENTLY-REMOVED-DATERANGES, a YES one has not, and what it names is gone."},
}
