package conformance

// Rules on the multivariant playlist and on renditions against each other.
const (
	RuleVariantCodecs    RuleID = "variant-codecs"
	RuleVariantBandwidth RuleID = "variant-bandwidth"
	RuleVariantAverage   RuleID = "variant-average-bandwidth"
	RuleVariantSize      RuleID = "variant-resolution"
	RuleVariantRate      RuleID = "variant-frame-rate"
	RuleVariantCaptions  RuleID = "variant-closed-captions"
	RuleVariantGroup     RuleID = "variant-audio-group"
	RuleVariantOnce      RuleID = "variant-once"
	RuleVariantScore     RuleID = "variant-score"
	RuleVariantRange     RuleID = "variant-video-range"
	RuleGroupNames       RuleID = "group-names"
	RuleGroupDefault     RuleID = "group-default"
	RuleGroupChannels    RuleID = "group-channels"
	RuleGroupLanguage    RuleID = "group-language"
	RuleGroupCodec       RuleID = "group-codec"
	RuleGroupUsed        RuleID = "group-used"
	RuleGroupSame        RuleID = "group-members"
	RuleSameTarget       RuleID = "renditions-target-duration"
	RuleSameControl      RuleID = "renditions-server-control"
	RuleSameSpan         RuleID = "renditions-aligned"
	RuleSameDisc         RuleID = "renditions-discontinuity"
	RuleSamePDT          RuleID = "renditions-pdt"
	RuleSameMapping      RuleID = "renditions-pdt-mapping"
	RuleSameRanges       RuleID = "renditions-dateranges"
	RuleSameEnd          RuleID = "renditions-end"
	RuleHoldLag          RuleID = "hold-back-lag"
)

var multivariantRules = []Rule{
	{RuleVariantCodecs, "6.2.4", "CODECS names exactly the formats in the initialization sections of the variant's renditions."},
	{RuleVariantBandwidth, "4.4.6.2", "BANDWIDTH is at least the peak segment bit rate of the largest combination of renditions."},
	{RuleVariantAverage, "Authoring 9.14", "AVERAGE-BANDWIDTH is present, at most BANDWIDTH and near the measured average."},
	{RuleVariantSize, "Authoring 9.2", "RESOLUTION is the size in the initialization section, and absent without video."},
	{RuleVariantRate, "Authoring 9.15", "FRAME-RATE is the rate of the samples, and absent without video."},
	{RuleVariantCaptions, "4.4.6.2", "Each variant has CLOSED-CAPTIONS=NONE."},
	{RuleVariantGroup, "4.4.6.2", "The AUDIO group that a variant names exists."},
	{RuleVariantOnce, "design", "No two variants have the same URI and the same AUDIO group."},
	{RuleVariantScore, "4.4.6.2", "SCORE is above 0, and either all variants have it or none."},
	{RuleVariantRange, "4.4.6.2", "VIDEO-RANGE is that of the transfer characteristics in the initialization section, stated with all video where any is not SDR, and absent without video."},
	{RuleGroupNames, "4.4.6.1.1", "Members of a group have different names and each its own URI."},
	{RuleGroupDefault, "4.4.6.1", "At most one member of a group is the default, and it is AUTOSELECT=YES."},
	{RuleGroupChannels, "4.4.6.1", "Each audio rendition has CHANNELS, and it is the number of channels in the initialization section."},
	{RuleGroupLanguage, "Authoring 8.10", "Each audio rendition has a well-formed LANGUAGE."},
	{RuleGroupCodec, "4.4.6.2", "All members of an audio group have the same codec, so that CODECS is true of whichever is chosen."},
	{RuleGroupUsed, "design", "Each audio group belongs to a variant."},
	{RuleGroupSame, "4.4.6.1.1", "All audio groups have the same members: of each NAME one, with the same attributes but for URI and CHANNELS."},
	{RuleSameTarget, "6.2.4", "All renditions have the same target duration."},
	{RuleSameControl, "6.2.4", "All renditions have the same EXT-X-SERVER-CONTROL."},
	{RuleSameSpan, "6.2.4", "A media sequence number spans the same time in all renditions, to within an audio frame."},
	{RuleSameDisc, "6.2.4", "A media sequence number has the same discontinuity sequence number in all renditions."},
	{RuleSamePDT, "design", "A media sequence number has the same program date-time in all renditions, to within an audio frame."},
	{RuleSameMapping, "6.2.4", "All renditions map media time to program date-time alike, to within an audio frame."},
	{RuleSameRanges, "6.2.4", "All renditions carry the same date ranges."},
	{RuleSameEnd, "6.2.4", "Renditions that have ended end at the same date, to within a target duration."},
	{RuleHoldLag, "design", "PART-HOLD-BACK has room for a part and for how much later a rendition keeps coming than the foremost one, once it has been followed for a while: who plays one can go over to another."},
}

// Rules on the media itself.
const (
	RuleInitBoxes      RuleID = "init-boxes"
	RuleInitTrack      RuleID = "init-one-track"
	RuleInitBrand      RuleID = "init-brand"
	RuleFragmentBoxes  RuleID = "fragment-boxes"
	RuleFragmentTrack  RuleID = "fragment-one-track"
	RuleFragmentBase   RuleID = "fragment-base"
	RuleFragmentOffset RuleID = "fragment-offset"
	RuleFragmentSizes  RuleID = "fragment-sizes"
	RuleFragmentOrder  RuleID = "fragment-sequence"
	RuleDecodeTime     RuleID = "decode-time"
	RuleSegmentParts   RuleID = "segment-equals-parts"
	RuleSegmentTime    RuleID = "extinf-media"
	RuleGapEmpty       RuleID = "gap-empty"
	RulePartTime       RuleID = "part-media"
	RulePDTMedia       RuleID = "pdt-media"
	RuleIndependent    RuleID = "independent-true"
	RuleIndependentSet RuleID = "independent-declared"
	RuleIndependentAll RuleID = "independent-segments-true"
	RuleSyncFlags      RuleID = "sync-flags"
	RuleNALUnits       RuleID = "nal-units"
	RuleParameterSets  RuleID = "no-parameter-sets"
)

var mediaRules = []Rule{
	{RuleInitBoxes, "3.1.2, ISO/IEC 14496-12 6.2.3", "An initialization section is ftyp and moov with whole boxes, mvex and a trex for its track, and no samples."},
	{RuleInitTrack, "ISO/IEC 23000-19 7.3.2", "An initialization section has exactly one track."},
	{RuleInitBrand, "ISO/IEC 23000-19 7.2", "The initialization section's ftyp lists a CMAF structural brand, cmfc or cmf2."},
	{RuleFragmentBoxes, "ISO/IEC 23000-19 7.3.3", "A part is whole boxes: optional styp, prft and emsg, then moof and mdat."},
	{RuleFragmentTrack, "ISO/IEC 23000-19 7.3.2", "Each moof has one traf, of the track in the initialization section."},
	{RuleFragmentBase, "ISO/IEC 23000-19 7.5.16", "Each traf has default-base-is-moof and no base-data-offset."},
	{RuleFragmentOffset, "ISO/IEC 14496-12 8.8.8", "The data offset of each trun is where its samples are in the mdat."},
	{RuleFragmentSizes, "ISO/IEC 14496-12 8.8.8", "There is at least one sample, and sample sizes add up to the mdat."},
	{RuleFragmentOrder, "ISO/IEC 14496-12 8.8.5", "Movie fragment sequence numbers rise."},
	{RuleDecodeTime, "Authoring 7.3", "Each tfdt is the one before plus the durations of its samples, except over a discontinuity or a gap."},
	{RuleSegmentParts, "4.4.4.9", "A segment is byte for byte its parts in order."},
	{RuleSegmentTime, "Authoring 8.1", "EXTINF is the duration of the segment's samples and of its parts that are marked as gaps: media are missing only where that is announced."},
	{RuleGapEmpty, "4.4.4.7", "A segment that is marked as a gap is not there: a request for it is answered Not Found."},
	{RulePartTime, "4.4.4.9", "DURATION of a part is the duration of its samples."},
	{RulePDTMedia, "4.4.4.6", "Between discontinuities, program date-times advance as the presentation times of the media do."},
	{RuleIndependent, "4.4.4.9", "A part with INDEPENDENT=YES starts with a sync sample."},
	{RuleIndependentSet, "4.4.4.9", "A part that starts with a sync sample has INDEPENDENT=YES."},
	{RuleIndependentAll, "4.4.2.1", "With EXT-X-INDEPENDENT-SEGMENTS, each segment starts with a sync sample."},
	{RuleSyncFlags, "ISO/IEC 14496-12 8.8.3.1", "Sample flags say sync sample exactly for those samples whose data is."},
	{RuleNALUnits, "ISO/IEC 14496-15 5.3.2", "NAL unit lengths, or OBU sizes, fill each sample exactly."},
	{RuleParameterSets, "ISO/IEC 14496-15 5.4.2", "Samples of avc1 and hvc1 have no parameter sets."},
}

// Rules on HTTP.
const (
	RuleHTTPOK        RuleID = "http-ok"
	RuleHTTPType      RuleID = "http-content-type"
	RuleHTTPLength    RuleID = "http-content-length"
	RuleHTTPGzip      RuleID = "http-gzip"
	RuleHTTPVary      RuleID = "http-vary"
	RuleHTTPETag      RuleID = "http-etag"
	RuleHTTPCondition RuleID = "http-not-modified"
	RuleHTTPCoding    RuleID = "http-etag-coding"
	RuleHTTPHead      RuleID = "http-head"
	RuleHTTPRange     RuleID = "http-range"
	RuleHTTPBadRange  RuleID = "http-range-unsatisfiable"
	RuleHTTPCORS      RuleID = "http-cors"
	RuleCacheMedia    RuleID = "cache-media"
	RuleCachePosition RuleID = "cache-position"
	RuleCacheLive     RuleID = "cache-live"
	RuleCacheMissing  RuleID = "cache-missing"
	RuleHTTPMissing   RuleID = "http-not-found"
	RuleHTTPCookie    RuleID = "http-no-cookie"
	RuleHTTPRedirect  RuleID = "http-no-redirect"
	RuleImmutable     RuleID = "media-immutable"
	RuleSegmentStays  RuleID = "segment-available"
	RulePartStays     RuleID = "part-available"
)

var httpRules = []Rule{
	{RuleHTTPOK, "6.2.1", "Each playlist, and each segment, part and initialization section that is not a gap, can be downloaded when it is listed."},
	{RuleHTTPType, "4, Authoring 10.4", "Playlists are application/vnd.apple.mpegurl, media is video/mp4 or audio/mp4 by its track."},
	{RuleHTTPLength, "RFC 9110 8.6", "Media responses have a Content-Length, and it is the length of the body."},
	{RuleHTTPGzip, "6.2.1, Authoring 10.1", "Playlists are sent with gzip to a client that accepts it, and without to one that does not."},
	{RuleHTTPVary, "RFC 9110 12.5.5", "Playlist responses, whose coding depends on Accept-Encoding, have it in Vary."},
	{RuleHTTPETag, "RFC 9110 8.8.3", "Playlists and media have a well-formed ETag."},
	{RuleHTTPCondition, "RFC 9110 13.1.2", "A request with If-None-Match of the current ETag is answered 304 without a body."},
	{RuleHTTPCoding, "RFC 9110 8.8.3.3", "A gzip and an identity response do not share a strong ETag."},
	{RuleHTTPHead, "RFC 9110 9.3.2", "HEAD has the status and headers of GET and no body."},
	{RuleHTTPRange, "RFC 9110 14.2", "A range request for media is answered 206 with Content-Range and exactly those bytes."},
	{RuleHTTPBadRange, "RFC 9110 14.4", "A range past the end is answered 416 with the length in Content-Range."},
	{RuleHTTPCORS, "design", "Every response, errors too, lets pages of any origin read it."},
	{RuleCacheMedia, "design", "Media may be cached for an hour or more and is marked immutable."},
	{RuleCachePosition, "6.2.5.2", "A playlist requested by position may be cached by shared caches."},
	{RuleCacheLive, "RFC 9111 5.2.2", "A live playlist without position says that it is fresh for a moment only: a second, or half the target duration."},
	{RuleCacheMissing, "RFC 9111 4.2.2", "Not Found, which caches may keep by themselves, says that it is fresh for one target duration at most."},
	{RuleHTTPMissing, "6.2.6", "A resource that is neither listed nor hinted is answered 404."},
	{RuleHTTPCookie, "design", "No response sets a cookie."},
	{RuleHTTPRedirect, "Authoring 8.18", "No request is answered with a redirect."},
	{RuleImmutable, "design", "The same URI gives the same bytes again."},
	{RuleSegmentStays, "6.2.2", "A segment can be downloaded for its availability duration, although it left the playlist."},
	{RulePartStays, "6.2.2", "A part can be downloaded for three target durations after its tag left the playlist."},
}
