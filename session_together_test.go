package auth_test

import (
	"encoding/gob"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/store"
)

// A modelSession is a session as it should be.
type modelSession struct {
	cookie string
	values map[string]any
	ended  bool
}

// A note is a value that only gob encodes.
type note struct{ N int }

// A together is one of several requests of a session, which does a step when it is told
// to, and what it should see.
type together struct {
	system *system
	lazy   bool // its values are read at the first question
	steps  chan func(http.ResponseWriter, *http.Request)
	done   chan *httptest.ResponseRecorder

	session    *modelSession
	begun      bool // the response
	user       bool
	base, view map[string]any // nil until they are read
}

// newTogether begins a request.
func newTogether(s *system, x *modelSession, lazy bool) *together {
	c := &together{system: s, lazy: lazy, session: x, user: true,
		steps: make(chan func(http.ResponseWriter, *http.Request)), done: make(chan *httptest.ResponseRecorder)}
	if !lazy {
		c.read()
	}
	began := make(chan struct{})
	go func() {
		c.done <- s.run(x.cookie, func(w http.ResponseWriter, r *http.Request) {
			close(began)
			for f := range c.steps {
				f(w, r)
				c.steps <- nil
			}
		})
	}()
	<-began
	return c
}

func (c *together) do(f func(http.ResponseWriter, *http.Request)) {
	c.steps <- f
	<-c.steps
}

// read is what the model does when somebody asks for a value.
func (c *together) read() {
	if c.view == nil {
		c.base = maps.Clone(c.session.values)
		c.view = maps.Clone(c.session.values)
	}
}

// save is what the model does when the session is saved: what this request changed, and
// nothing else.
func (c *together) save() {
	if c.view == nil || c.session.ended {
		return
	}
	for k := range c.base {
		if _, kept := c.view[k]; !kept {
			delete(c.session.values, k)
		}
	}
	for k, v := range c.view {
		if old, had := c.base[k]; !had || old != v {
			c.session.values[k] = v
		}
	}
	c.base = maps.Clone(c.view)
}

// whatever requests of a session do at once, each finds what it should, each
// change is kept, and nothing else is changed. That is so in every store.
func TestSessionsTogether(t *testing.T) {
	gob.Register(note{})
	for name, settings := range sessionStores {
		for seed := range uint64(50) {
			random := rand.New(rand.NewPCG(seed, 2))
			s := newSystem(t, settings)
			m := s.session.Manager()
			x := &modelSession{cookie: s.login(s.alice), values: map[string]any{}}
			s.value(x.cookie, "a") // from now on its values are known to be good
			var log []string
			var open []*together
			last := 0
			fail := func(what, diff string) {
				t.Fatalf("%s, seed %d, %q: %s (-want +got):\n%s", name, seed, log, what, diff)
			}
			call := func(c *together, f func(*http.Request) error) {
				var err error
				if c.do(func(_ http.ResponseWriter, r *http.Request) { err = f(r) }); err != nil {
					fail("error", err.Error())
				}
			}
			for range 60 {
				if x.ended {
					x = &modelSession{cookie: s.login(s.alice), values: map[string]any{}}
					s.value(x.cookie, "a") // from now on its values are known to be good
					log = append(log, "new")
				}
				if len(open) == 0 || len(open) < 3 && random.IntN(4) == 0 {
					log = append(log, "begin")
					open = append(open, newTogether(s, x, name == "memory"))
				}
				i := random.IntN(len(open))
				c := open[i]
				key := string(rune('a' + random.IntN(4)))
				op := random.IntN(12)
				log = append(log, fmt.Sprint(i, ":", op, key))
				switch op {
				case 0, 1, 2:
					c.read()
					last++
					var value any = last
					if op == 0 {
						value = note{last} // in gob
					}
					c.view[key] = value
					c.do(func(_ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), key, value) })
				case 3:
					c.read()
					delete(c.view, key)
					c.do(func(_ http.ResponseWriter, r *http.Request) { m.Remove(r.Context(), key) })
				case 4, 5:
					c.read()
					c.do(func(_ http.ResponseWriter, r *http.Request) {
						if diff := cmp.Diff(c.view, valuesOf(r.Context(), m)); diff != "" {
							t.Errorf("%s, seed %d, %q: inside (-want +got):\n%s", name, seed, log, diff)
						}
					})
				case 6: // the response begins
					if !c.begun {
						c.save()
						c.begun = true
					}
					c.do(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
				case 7:
					if random.IntN(3) > 0 || c.begun {
						continue
					}
					log = append(log, "login")
					c.read()
					c.session.ended = c.session.ended || c.user
					call(c, func(r *http.Request) error { return s.session.Login(r, s.alice) })
					c.session, c.base, c.user = &modelSession{values: maps.Clone(c.view)}, maps.Clone(c.view), true
				case 8: // so that the values of another user are in the same place of a memory.Store
					if random.IntN(3) > 0 {
						continue
					}
					log = append(log, "purge")
					for _, o := range open {
						o.session.ended = true
						if o.view == nil {
							o.base, o.view = map[string]any{}, map[string]any{}
						}
					}
					x.ended = true
					_, err := s.session.End(t.Context(), store.SessionSelection{All: true})
					_, errPurge := s.session.Purge(t.Context(), time.Now().Add(time.Hour))
					if err != nil || errPurge != nil {
						t.Fatal(err, errPurge)
					}
					s.put(s.login(s.bob), "a", "another's")
				case 9:
					if random.IntN(3) > 0 || !c.user || c.begun {
						continue
					}
					way := random.IntN(4)
					log = append(log, fmt.Sprint("end by ", way))
					call(c, func(r *http.Request) error {
						switch {
						case way == 0:
							return m.Destroy(r.Context())
						case way == 1:
							return m.RenewToken(r.Context())
						case way == 2 && !c.session.ended:
							return s.session.EndOne(r.Context(), by(s.alice), s.alice.ID, s.session.Current(r.Context()))
						}
						return s.session.Logout(r)
					})
					c.session.ended = true
					c.session = &modelSession{ended: true} // the values are in a session that nobody asks for
					c.base, c.view, c.user = map[string]any{}, map[string]any{}, false
				default:
					close(c.steps)
					w := <-c.done
					c.save()
					if w.Code != 200 {
						fail("status", fmt.Sprint(w.Code))
					}
					open = slices.Delete(open, i, i+1)
					if set := s.cookie(w); c.session != x && !c.session.ended && set != "" {
						c.session.cookie, x = set, c.session
					}
				}
				if x.ended {
					continue
				}
				var found map[string]any
				s.run(x.cookie, func(_ http.ResponseWriter, r *http.Request) { found = valuesOf(r.Context(), m) })
				if diff := cmp.Diff(x.values, found); diff != "" {
					fail("stored", diff)
				}
			}
			for _, c := range open {
				close(c.steps)
				<-c.done
			}
		}
	}
}
