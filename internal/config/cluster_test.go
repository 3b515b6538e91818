package config

import (
	"strings"
	"testing"
)

// TestClusterMistakes: what a cluster's settings must not say, each in the place where it stands.
func TestClusterMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"no way to the directory", `cluster: {address: ":8444"}`, "f:1:20: cluster.address: a node of a cluster needs a way to its directory"},
		{"two ways", `cluster: {address: ":8444", core: ["a:6222"], leaf_of: ["b:7422"]}`, "cluster.core, cluster.leaf_of and cluster.nats are three ways"},
		{"two core nodes", `cluster: {address: ":8444", core: ["a:6222", "b:6222"]}`, "cluster.core: two core nodes stop when either does"},
		{"core node twice", `cluster: {address: ":8444", core: ["a:6222", "a:6222"]}`, "cluster.core[2]: \"a:6222\" is in the list already"},
		{"alone", `relay: {push: ["a:8444"]}`, "the node is by itself as long as cluster.address is empty"},
		{"name", `node: {name: EU_1}`, `node.name: "EU_1" is not made of`},
		{"advertise", `cluster: {advertise: ":8444"}`, `cluster.advertise: ":8444" is not an address that other nodes can reach`},
		{"url", `cluster: {public_url: "https://a.example.com/"}`, "without a slash at its end"},
		{"nats", `cluster: {address: ":8444", nats: ["http://a:4222"]}`, `cluster.nats[1]: "http://a:4222" is not a NATS server`},
		{"pattern", `relay: {prefetch: ["show/*"]}`, `relay.prefetch[1]: "show/*" cannot be used`},
		{"policy without regions", `relay: {policies: [{stream: "a*", regions: []}]}`, "relay.policies[1].regions: has nothing in it"},
		{"region", `relay: {policies: [{stream: "a*", regions: [EU]}]}`, `relay.policies[1].regions[1]: "EU" is not made of`},
		{"country", `routing: {countries: [{country: Germany, region: eu}]}`, "routing.countries[1].country: "},
		{"country twice", `routing: {countries: [{country: DE, region: eu}, {country: DE, region: us}]}`, `routing.countries[2].country: "DE" has an entry before this one`},
		{"header", `routing: {country_header: "a b"}`, `routing.country_header: "a b" is not the name of a header`},
		{"port", `cluster: {address: ":8080", core: ["a:6222"]}`, "would listen on the same port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := complaints(t, tt.text); !strings.Contains(got, tt.want) {
				t.Errorf("got\n  %s\nwant\n  %s", got, tt.want)
			}
		})
	}
}

// TestRegionsOf: the first pattern that fits tells who may have a stream.
func TestRegionsOf(t *testing.T) {
	t.Parallel()
	c, err := parse("f", []byte(`relay: {regions: [eu, us], policies: [{stream: "vip-*", regions: [eu]}, {stream: "vip-1", regions: [us]}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]string{"show": "eu us", "vip-1": "eu", "vip": "eu us"} {
		if got := strings.Join(c.RegionsOf(stream), " "); got != want {
			t.Errorf("%s may be in %q, want %q", stream, got, want)
		}
	}
}
