// Package webhooks tells other services what happens to streams: signed, in order, at least once.
//
// # What a receiver gets
//
// A POST with a JSON object, signed as the Standard Webhooks specification 1.0.0 has it (github.com/standard-webhooks):
//
//	webhook-id: evt_06f2k9h3q0000vk3s1m8c7b2a4
//	webhook-timestamp: 1763731234
//	webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//
//	{"id":"evt_…","type":"stream.started","timestamp":"2026-11-21T13:20:34.567Z","node":"eu-1","stream":"show","data":{…}}
//
// The signature is the HMAC-SHA256 of ID.TIMESTAMP.BODY, one for each of the target's secrets, with spaces between them. The
// id is the same however often an event is sent, and rises with time; timestamp in the header is that of the attempt, in the
// body that of the event. What data holds is in the types Started, Ended, Degraded, Recovered, Shown and Hidden.
//
// # What becomes of an answer
//
// 2xx within Timeout is success. 410 says that nobody wants events there any more: the target is off, and what waits for it is
// dropped, until the settings change or the node starts again. All else is a failure, redirects too: the event is sent
// again after a pause that doubles, up to Settings.RetryFor after it happened. Meanwhile later events of the same stream wait, for
// that target; those of other streams do not. Retry-After with 429 and 503 holds the whole target back.
//
// # The queue on disk
//
// Events that wait are in segments, files that only grow, DIR/NUMBER.queue, the lower number the older. A segment is records
// behind one another:
//
//	4 bytes  "pwq1"
//	4 bytes  length of the payload, little-endian, 1 to maxRecord
//	4 bytes  CRC-32C (Castagnoli) of the length's four bytes and the payload, little-endian
//	n bytes  payload
//
// A payload is an event with the targets that are to be told, or that one target needs to hear of an event no more. What is
// in an event is on the disk before it is sent; that a target was told is written without waiting for the disk, so that a crash
// may have it told twice. The oldest segment goes when nothing in it waits; where something does for long, it is copied to the
// end. A reader skips what is damaged up to the next whole record.
package webhooks
