package node_test

import (
	"net/http"

	"pushcart/internal/auth/playback"
)

// need is what a route asks of who comes.
type need int

const (
	everybody need = iota
	media          // a signed address for the stream, or a CDN that asks for one
	places         // a signed address for the stream
	about          // that, or the stream's key, or an operator token for the stream
	known          // an operator token for whatever stream
	reads          // an operator token for the stream, with the role viewer
	runs           // producer
	admin          // admin
	streamKey      // a stream key, by the rules of WHIP
	nowhere        // it is not for viewers' addresses: the admin port has it
)

// entry is a route of the table.
type entry struct {
	// route as it is registered, or in the words of reached for what has no mux.
	route string
	// ask is the request, for the stream "show": a method and a path. body goes with it.
	ask, body string
	need      need
	// ok are the answers to who may.
	ok []int
	// below tells that it can be asked for below a signed address.
	below bool
	// operator tells that it is on the admin port.
	operator bool
}

const (
	viewersToken  = "token-of-a-viewer"
	producerToken = "token-of-a-producer"
	otherToken    = "token-of-another-show"
	adminToken    = "token-of-the-admin"
	cdnSecret     = "secret-of-the-cdn-0123456789"
	playSecret    = "secret-that-signs-addresses"
)

// table has every route of the viewers' ports and of the admin port.
func table() []entry {
	const card = `{"id":"lamp","name":"Lamp"}`
	is := func(status ...int) []int { return status }
	const base = "/api/v1/streams/{name}"
	all := []entry{
		// What players fetch. It has no mux: see viewerServer.
		{route: "/live/", ask: "GET /live/show/index.m3u8", need: media, ok: is(200), below: true},
		{route: "/live/", ask: "HEAD /live/show/audio.m3u8", need: media, ok: is(200), below: true},
		{route: "/live/", ask: "GET /live/show/audio/1-2.3.m4s", need: media, ok: is(404), below: true},
		{route: "/live/", ask: "GET /live/show/audio/1-2.m4s", need: media, ok: is(404), below: true},
		{route: "/live/", ask: "GET /live/show/audio/init-0.mp4", need: media, ok: is(404), below: true},
		{route: "/live/", ask: "GET /live/show/poster.jpg", need: media, ok: is(404), below: true},
		{route: "/live/", ask: "POST /live/show/index.m3u8", need: media, ok: is(405), below: true},
		{route: "/live/", ask: "OPTIONS /live/show/index.m3u8", need: everybody, ok: is(204), below: true},
		{route: "/live/", ask: "GET /live/open-house/index.m3u8", need: everybody, ok: is(404), below: true},
		{route: "GET /live/{stream}/cards/{id}/{rev}.json", ask: "GET /live/show/cards/lamp/1.json", need: media, ok: is(200, 404), below: true},
		{route: "GET /live/{stream}/cards/{id}/{rev}.json", ask: "OPTIONS /live/show/cards/lamp/1.json", need: everybody, ok: is(204), below: true},
		{route: "GET /api/v1/where/{name}", ask: "GET /api/v1/where/show", need: places, ok: is(200), below: true},
		{route: "OPTIONS /api/v1/where/{name}", ask: "OPTIONS /api/v1/where/show", need: everybody, ok: is(204), below: true},
		{route: "GET " + playback.VerifyPath, ask: "GET " + playback.VerifyPath, need: everybody, ok: is(403)}, // of no address

		// Pages.
		{route: "GET /{$}", ask: "GET /", need: everybody, ok: is(200, 503)},
		{route: "GET /watch/{name}", ask: "GET /watch/show", need: everybody, ok: is(200, 503), below: true},
		{route: "GET /studio/{name}", ask: "GET /studio/show", need: everybody, ok: is(200, 503)},
		{route: "GET /publish/{name}", ask: "GET /publish/show", need: everybody, ok: is(200, 503)},
		{route: "GET /assets/{name}", ask: "GET /assets/none.js", need: everybody, ok: is(404), below: true},
		{route: "GET /sdk/{name}", ask: "GET /sdk/none.js", need: everybody, ok: is(404), below: true},

		// The API.
		{route: "GET /api/v1/streams", ask: "GET /api/v1/streams", need: everybody, ok: is(200)},
		{route: "GET " + base, ask: "GET /api/v1/streams/show", need: about, ok: is(200), below: true},
		{route: "GET " + base + "/access", ask: "GET /api/v1/streams/show/access", need: reads, ok: is(200)},
		{route: "GET /api/openapi.yaml", ask: "GET /api/openapi.yaml", need: everybody, ok: is(200)},
		{route: "GET /.well-known/jwks.json", ask: "GET /.well-known/jwks.json", need: everybody, ok: is(200), below: true},
		{route: "/api/", ask: "GET /api/v1/nothing", need: everybody, ok: is(404)},
		{route: "GET " + base + "/cards", ask: "GET /api/v1/streams/show/cards", need: reads, ok: is(200)},
		{route: "PUT " + base + "/cards", ask: "PUT /api/v1/streams/show/cards", body: "[" + card + "]", need: runs, ok: is(200)},
		{route: "PATCH " + base + "/cards", ask: "PATCH /api/v1/streams/show/cards", body: `{"order":["lamp"]}`, need: runs, ok: is(200)},
		{route: "GET " + base + "/cards/{id}", ask: "GET /api/v1/streams/show/cards/lamp", need: reads, ok: is(200)},
		{route: "PUT " + base + "/cards/{id}", ask: "PUT /api/v1/streams/show/cards/lamp", body: card, need: runs, ok: is(200, 201)},
		{route: "PATCH " + base + "/cards/{id}", ask: "PATCH /api/v1/streams/show/cards/lamp", body: `{"name":"Lamp"}`, need: runs, ok: is(200)},
		{route: "DELETE " + base + "/cards/{id}", ask: "DELETE /api/v1/streams/show/cards/none", need: runs, ok: is(404)},
		{route: "GET " + base + "/cards/{id}/preview", ask: "GET /api/v1/streams/show/cards/lamp/preview", need: reads, ok: is(200)},
		{route: "GET " + base + "/slots", ask: "GET /api/v1/streams/show/slots", need: reads, ok: is(200)},
		{route: "PUT " + base + "/slots/{slot}", ask: "PUT /api/v1/streams/show/slots/main", body: `{"card":"lamp"}`, need: runs, ok: is(200)},
		{route: "DELETE " + base + "/slots/{slot}", ask: "DELETE /api/v1/streams/show/slots/side", need: runs, ok: is(200)},
		{route: "DELETE " + base + "/slots", ask: "DELETE /api/v1/streams/show/slots", need: runs, ok: is(200)},
		{route: "DELETE " + base + "/schedule/{schedule}", ask: "DELETE /api/v1/streams/show/schedule/none", need: runs, ok: is(404)},
		{route: "GET " + base + "/timeline", ask: "GET /api/v1/streams/show/timeline", need: reads, ok: is(200)},
		{route: "GET " + base + "/card-settings", ask: "GET /api/v1/streams/show/card-settings", need: reads, ok: is(200)},
		{route: "PATCH " + base + "/card-settings", ask: "PATCH /api/v1/streams/show/card-settings", body: `{"in_band":true}`, need: runs, ok: is(200)},
		{route: "GET " + base + "/card-events", ask: "HEAD /api/v1/streams/show/card-events", need: reads, ok: is(200)}, // GET does not end
		{route: "GET /api/v1/sources", ask: "GET /api/v1/sources", need: known, ok: is(200)},
		{route: "GET /api/v1/sources/{name}", ask: "GET /api/v1/sources/show", need: reads, ok: is(404)},
		{route: "PUT /api/v1/sources/{name}", ask: "PUT /api/v1/sources/show", body: `{"url":"nonsense"}`, need: admin, ok: is(422)},
		{route: "DELETE /api/v1/sources/{name}", ask: "DELETE /api/v1/sources/show", need: admin, ok: is(404)},
		{route: "GET /api/v1/ladder", ask: "GET /api/v1/ladder", need: known, ok: is(200, 404)},
		{route: "GET " + base + "/ladder", ask: "GET /api/v1/streams/show/ladder", need: reads, ok: is(404)},
		{route: "GET " + base + "/ladder/command", ask: "GET /api/v1/streams/show/ladder/command", need: reads, ok: is(200, 404, 409, 422)},

		// WHIP has its own rules. What is no offer is refused once it is known who sends it.
		{route: `prefix + "{name}"`, ask: "POST /whip/show", body: "no offer", need: streamKey, ok: is(400, 415, 422)},
		{route: `prefix + "{name}"`, ask: "OPTIONS /whip/show", need: everybody, ok: is(200)},
		{route: `prefix + "{name}/{session}"`, ask: "DELETE /whip/show/none", need: everybody, ok: is(404)}, // a session's name is a secret, and it wants the key of its own
	}
	for _, e := range []entry{
		{route: "GET /metrics", ask: "GET /metrics", ok: is(200)},
		{route: "GET /healthz", ask: "GET /healthz", ok: is(200)},
		{route: "GET /readyz", ask: "GET /readyz", ok: is(200)},
		{route: "/drain", ask: "GET /drain", ok: is(200)},
		{route: "GET /cluster", ask: "GET /cluster", ok: is(200)},
		{route: "GET /cluster.json", ask: "GET /cluster.json", ok: is(200)},
		{route: "/debug/pprof/", ask: "GET /debug/pprof/", ok: is(200)},
		{route: "/debug/pprof/cmdline", ask: "GET /debug/pprof/cmdline", ok: is(200)},
		{route: "/debug/pprof/profile", ask: "GET /debug/pprof/profile", ok: is(http.StatusInternalServerError)},
		{route: "/debug/pprof/symbol", ask: "GET /debug/pprof/symbol", ok: is(200)},
		{route: "/debug/pprof/trace", ask: "GET /debug/pprof/trace?seconds=0.001", ok: is(200)},
	} {
		// Whoever reaches the admin port may have all that it has; at viewers' addresses there is nothing of it.
		e.operator, e.need = true, everybody
		all = append(all, e, entry{route: e.route, ask: e.ask, need: nowhere, ok: is(404)})
	}
	return all
}
