// Package playback decides who may play which stream: it signs addresses, and lets in who asks below one.
//
// # The form of a signed address
//
// A signed address is one of the node's own with /p/TOKEN in front:
//
//	/p/TOKEN/watch/NAME
//	/p/TOKEN/live/NAME/index.m3u8
//
// Whatever a player then fetches stands beside the playlist, so that it has the token in front too, and playlists are the same for
// everybody. A token is text of at most 256 characters, fields with a full stop in between:
//
//	1.KEY.STREAM.EXPIRES[.cCOUNTRIES][.vVIEWERS].SIGNATURE
//
//	1          the version of this form
//	KEY        the id of the key that signed: 1 to 16 of A-Z a-z 0-9 - _
//	STREAM     the name of the stream that it opens: 1 to 64 of A-Z a-z 0-9 - _, the first one a letter or a digit. No other
//	           stream is opened, also none whose name begins with it
//	EXPIRES    the first second in which it is not good any more, in seconds since 1970: 1 to 11 decimal digits, no leading zero
//	COUNTRIES  1 to 32 countries from which it is good (ISO 3166-1 alpha-2, capital letters), each once, with - in between
//	VIEWERS    how many viewers may use it at once: 1 to 100000, no leading zero
//	SIGNATURE  HMAC-SHA256 (RFC 2104) in base64url without padding (RFC 4648 5): 43 characters
//
// What is signed is "/p/" and the token up to the full stop in front of SIGNATURE, which that one is not part of. The key is the
// secret's characters as they are configured: a secret that looks like hexadecimal digits is not decoded. In a shell:
//
//	head=1.k1.show.1893456000.cSE-NO.v100
//	mac=$(printf /p/%s "$head" | openssl dgst -sha256 -hmac "$SECRET" -binary | basenc --base64url | tr -d =)
//	echo "https://live.example.com/p/$head.$mac/watch/show"
//
// A field that is not known makes the whole token no good: what a later version restricts must not be overlooked by this one.
package playback
