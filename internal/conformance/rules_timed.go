package conformance

// Rules on timed metadata: event messages in the media, date ranges in the playlists, and the two against each other.
const (
	RuleEventForm      RuleID = "event-form"
	RuleEventPlace     RuleID = "event-place"
	RuleEventVersion   RuleID = "event-version"
	RuleEventTimescale RuleID = "event-timescale"
	RuleEventTime      RuleID = "event-time"
	RuleEventOrder     RuleID = "event-order"
	RuleEventDuration  RuleID = "event-duration"
	RuleEventID        RuleID = "event-id"
	RuleEventRepeat    RuleID = "event-repeated"
	RuleEventSame      RuleID = "event-renditions"
	RuleEventID3       RuleID = "event-id3"
	RuleRangeEvent     RuleID = "daterange-event"
	RuleRangeReturn    RuleID = "daterange-returns"
	RuleDeltaOld       RuleID = "delta-old-dateranges"
	RuleDeltaApply     RuleID = "delta-apply-dateranges"
)

// "AOM ID3" is the Alliance for Open Media's "Carriage of ID3 Timed Metadata in the Common Media Application Format";
// "ID3v2.4" is that version's structure document.
var timedRules = []Rule{
	{RuleEventForm, "ISO/IEC 23009-1 5.10.3.3.3", "An emsg has all its fields, flags of 0, and a scheme and a value in UTF-8 that end."},
	{RuleEventPlace, "ISO/IEC 23000-19 7.4.5", "An emsg stands in front of the moof of a chunk."},
	{RuleEventVersion, "AOM ID3 2.2.1", "An emsg with ID3 is of version 1."},
	{RuleEventTimescale, "ISO/IEC 23000-19 7.4.5", "The timescale of an emsg is that of its track."},
	{RuleEventTime, "AOM ID3 2.2.3", "The presentation time of an emsg lies in the chunk behind it, or up to two part targets before it, where players have not been yet, or one after it; behind a gap it may be as old as that."},
	{RuleEventOrder, "design", "Between discontinuities, no emsg has an earlier presentation time than the one before it, so that the last one seen holds."},
	{RuleEventDuration, "AOM ID3 2.2.3", "An emsg with ID3, which has no duration, has the event_duration 0xFFFFFFFF."},
	{RuleEventID, "ISO/IEC 23009-1 5.10.3.3.4", "Two emsg of one scheme and value with the same id are the same, to the byte."},
	{RuleEventRepeat, "design", "Once there was an emsg with ID3, the first chunk of each segment has one for its first frame, or for a time before it by less than a frame (another rendition's first) or, of sound, behind it by half a frame at most, for those who join there. A segment that begins with a gap cannot be joined at."},
	{RuleEventSame, "ISO/IEC 23009-1 5.10.3.3.1", "All video renditions have the same emsg, with the same ids, to the byte."},
	{RuleEventID3, "ID3v2.4 3", "The message_data of an emsg with ID3 is one whole ID3v2.4 tag with one frame, TXXX in UTF-8 with a description and a value."},
	{RuleRangeEvent, "design", "Where the media have messages, each date range begins and ends at the date of one, within 2 ms."},
	{RuleRangeReturn, "design", "A date range that left a playlist never comes back."},
	{RuleDeltaOld, "6.2.5.1", "A v2 delta update has no date range that was added or changed longer ago than the skip boundary, and two target durations."},
	{RuleDeltaApply, "6.3.7", "Updates of v2, applied to the ranges of the playlist before, one after the other, give the ranges of the full playlist."},
}
