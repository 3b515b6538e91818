package directory

import (
	"errors"
	"testing"
	"time"

	"pushcart/relay"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	live := func(standby bool) relay.Entry {
		return relay.Entry{Origin: "node-1", Credential: "theirs", Live: true, Standby: standby}
	}
	away := live(false)
	away.Live = false
	mine, other := relay.Claim{Credential: "theirs"}, relay.Claim{Credential: "mine"}
	standby := relay.Claim{Credential: "mine", Standby: true}
	for _, c := range []struct {
		what  string
		claim relay.Claim
		p     present
		want  error
	}{
		{"nobody has it", other, present{}, nil},
		{"the same credential, although live elsewhere", mine, present{entry: live(false), held: true}, nil},
		{"another credential, live", other, present{entry: live(false), held: true}, relay.ErrTaken},
		{"another credential, its node dead for a moment", other, present{entry: live(false), held: true, gone: usual.node}, relay.ErrTaken},
		{"another credential, its node dead for long", other, present{entry: live(false), held: true, gone: usual.entry}, nil},
		{"another credential, its publisher away for long, its node well", other, present{entry: away, held: true, away: time.Hour}, relay.ErrTaken},
		{"another credential, publisher away, node dead", other, present{entry: away, held: true, gone: usual.node, away: time.Second}, nil},
		{"a standby has it", other, present{entry: live(true), held: true}, nil},
		{"a standby against one that is well", standby, present{entry: live(false), held: true}, relay.ErrStandby},
		{"a standby against another standby", standby, present{entry: live(true), held: true}, relay.ErrStandby},
		{"a standby, publisher away for a moment", standby, present{entry: away, held: true, away: usual.away - 1}, relay.ErrStandby},
		{"a standby, publisher away", standby, present{entry: away, held: true, away: usual.away}, nil},
		{"a standby, node dead", standby, present{entry: live(false), held: true, gone: usual.node}, nil},
	} {
		if err := decide(c.claim, c.p, usual); !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
		}
	}
}
