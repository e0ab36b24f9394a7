package sqltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// raceArgs are the arguments of raceChild.
type raceArgs struct {
	Place place
	What  string // code, refresh or grace
	Names int
	Salt  string
}

// raceResult is what raceChild found for one name.
type raceResult struct {
	Name              string
	Won, Replay, Used bool
	Token             int64
	Err               string
}

// raceChild presents every name once, many at a time.
func raceChild(args []byte) error {
	var a raceArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	db, err := a.Place.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	st, err := sqlstore.Open(context.Background(), db, a.Place.Dialect, a.Place.options())
	if err != nil {
		return err
	}
	fmt.Println("ready")
	fmt.Scanln()
	var wg sync.WaitGroup
	results := make([]raceResult, a.Names)
	places := make(chan struct{}, 8)
	for _, i := range rand.Perm(a.Names) {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i] = present(st, a, fmt.Sprintf("n%d", i))
		})
	}
	wg.Wait()
	text, err := json.Marshal(results)
	fmt.Println(string(text))
	return err
}

func present(st *sqlstore.Store, a raceArgs, name string) raceResult {
	now := time.Now()
	r := raceResult{Name: name}
	var err error
	if a.What == "code" {
		var tok store.Token
		tok, err = st.Redeem(context.Background(), store.Redemption{
			Code: store.DigestOf(name), ApplicationID: 1, At: now, Token: tokenNamed(a.Salt+name, now),
		})
		r.Token = tok.ID
	} else {
		var out store.RotateOutcome
		rotation := store.Rotation{Refresh: refreshOf(name), ApplicationID: 1, Revision: 1, At: now, Token: tokenNamed(a.Salt+name, now), Nonce: [32]byte{1}}
		if a.What == "grace" {
			rotation.Grace = time.Minute
		}
		out, err = st.Rotate(context.Background(), rotation)
		r.Token, r.Replay = out.Token.ID, out.Replayed
	}
	switch {
	case err == nil:
		r.Won = !r.Replay
	case errors.Is(err, store.ErrUsed):
		r.Used = true
	default:
		r.Err = err.Error()
	}
	return r
}

// Of three processes that present the same codes or refresh tokens to one
// database exactly one wins each.
func TestProcessesRace(t *testing.T) {
	const names = 40
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		for _, what := range []string{"code", "refresh", "grace"} {
			t.Run(what, func(t *testing.T) {
				p := fresh(t)
				st := p.open(t)
				families := raceSetup(t, st, what, names)
				all := race(t, p, what, names, 3)
				for name, results := range all {
					var won, used, replayed int
					tokens := map[int64]bool{}
					for _, r := range results {
						if r.Err != "" {
							t.Errorf("%s: %s", name, r.Err)
						}
						if r.Won {
							won++
						}
						if r.Used {
							used++
						}
						if r.Replay {
							replayed++
						}
						if r.Token != 0 {
							tokens[r.Token] = true
						}
					}
					switch {
					case won != 1, len(tokens) != 1:
						t.Errorf("%s: %d winners, tokens %v", name, won, tokens)
					case what == "grace" && replayed != 2, what != "grace" && used != 2:
						t.Errorf("%s: %d replays, %d used", name, replayed, used)
					}
					for id := range tokens {
						checkRaced(t, st, what, id, families[name])
					}
				}
			})
		}
	})
}

// checkRaced checks the state of the token that was won: where others were told
// that it is used, it is revoked.
func checkRaced(t *testing.T, st *sqlstore.Store, what string, id, family int64) {
	t.Helper()
	tok, err := st.TokenByID(t.Context(), id)
	if err != nil {
		t.Error(err)
		return
	}
	if dead := !tok.Revoked.IsZero(); dead == (what == "grace") {
		t.Errorf("token %d: revoked is %v", id, dead)
	}
	if family != 0 && tok.Family != family {
		t.Errorf("token %d: family %d, want %d", id, tok.Family, family)
	}
}

func raceSetup(t *testing.T, st *sqlstore.Store, what string, names int) map[string]int64 {
	t.Helper()
	now := time.Now()
	families := map[string]int64{}
	for i := range names {
		name := fmt.Sprintf("n%d", i)
		if what == "code" {
			err := st.InsertCode(t.Context(), store.Code{Digest: store.DigestOf(name), ApplicationID: 1, UserID: "1", Created: now, Expires: now.Add(hour)}, anyNumber)
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		tok, err := st.InsertToken(t.Context(), tokenNamed(name, now), limits)
		if err != nil {
			t.Fatal(err)
		}
		families[name] = tok.Family
	}
	return families
}

func race(t *testing.T, p place, what string, names, processes int) map[string][]raceResult {
	t.Helper()
	var all []*child
	for i := range processes {
		c := start(t, "race", raceArgs{p, what, names, fmt.Sprintf("c%d", i)})
		if !c.lines.Scan() {
			t.Fatal("child did not start")
		}
		all = append(all, c)
	}
	for _, c := range all {
		fmt.Fprintln(c.stdin)
	}
	byName := map[string][]raceResult{}
	for _, c := range all {
		if !c.lines.Scan() {
			t.Fatal("child said nothing")
		}
		var results []raceResult
		if err := json.Unmarshal(c.lines.Bytes(), &results); err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			byName[r.Name] = append(byName[r.Name], r)
		}
		c.wait(t)
	}
	return byName
}
