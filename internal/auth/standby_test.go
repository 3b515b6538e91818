package auth

import "testing"

// TestStandby: whether a publisher stands by is said by the entry that let it in: the stream's own before that for any.
func TestStandby(t *testing.T) {
	t.Parallel()
	k := mustKeys(t, []Entry{
		{Stream: "show", Key: "secret-main"},
		{Stream: "show", Key: "secret-spare", Standby: true},
		{Stream: AnyStream, Key: "secret-roving", Standby: true},
		{Stream: "news", Key: "secret-roving"},
		{Stream: "talk", Key: "secret-anchor", Standby: true},
		{Stream: AnyStream, Key: "secret-anchor"},
	}...)
	for _, tt := range []struct {
		stream, secret string
		standby        bool
	}{
		{"show", "secret-main", false},
		{"show", "secret-spare", true},
		{"", "secret-spare", true}, // the secret alone stands for its stream
		{"show", "secret-roving", true},
		{"news", "secret-roving", false},
		{"talk", "secret-anchor", true},
		{"show", "secret-anchor", false},
	} {
		c, name, ok := k.Check(tt.stream, tt.secret)
		if !ok {
			t.Fatalf("%+v is not let in", tt)
		}
		if got := k.Terms(name, c).Standby; got != tt.standby {
			t.Errorf("%+v: stands by: %v", tt, got)
		}
	}
	var none *Keys
	if none.Terms("show", "").Standby || k.Terms("show", "somebody").Standby {
		t.Error("who is not known stands by")
	}
}

// TestSharedKeys: nodes with the same pepper have the same credentials, other nodes others, and none is the secret's bare hash.
func TestSharedKeys(t *testing.T) {
	t.Parallel()
	entries := []Entry{{Stream: "show", Key: "secret-main"}}
	of := func(pepper string) Credential {
		t.Helper()
		k, err := NewSharedKeys(entries, []byte(pepper))
		if err != nil {
			t.Fatal(err)
		}
		c, ok := k.Permits("show", "secret-main")
		if !ok {
			t.Fatal("not let in")
		}
		return c
	}
	one, other := of("cluster one"), of("cluster one")
	if one != other {
		t.Error("two nodes of a cluster do not know the same publisher again")
	}
	if one == of("cluster two") || one == of("") {
		t.Error("the pepper makes no difference")
	}
	if c, _ := mustKeys(t, entries...).Permits("show", "secret-main"); c != of("") {
		t.Error("without a pepper the set is not that of NewKeys")
	}
}
